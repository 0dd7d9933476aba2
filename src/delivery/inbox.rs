//! The inbox of `vestibule dev`: the last messages, in memory, to be read by people and by tests.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::timeout;

/// Messages that are kept; the oldest go first.
const MESSAGES_MAX: usize = 10_000;

/// How many bells may hang before those that nobody hears are taken down.
const BELLS_SWEPT_AT: usize = 1_024;

/// A message as it lies in the inbox.
#[derive(Clone, Debug, Serialize)]
pub struct InboxMessage {
    /// Unique.
    pub id: String,
    /// Address or number.
    pub to: String,
    /// `email` or `sms`.
    pub channel: String,
    /// The template that made it.
    pub template: String,
    /// Subject; empty for a text message.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The HTML part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// The code in it. The inbox exists to show it; there is none outside `vestibule dev`.
    pub code: Option<String>,
    /// Message-ID.
    pub message_id: String,
    /// When it arrived, in milliseconds since the epoch.
    pub sent_at: i64,
    /// Why the message carries no code although somebody asked for one. Such a message was not sent and has no
    /// words, but for the note to the owner of an address that somebody registered again.
    pub suppressed: Option<String>,
}

/// The inbox.
pub struct Inbox {
    shelves: Mutex<Shelves>,
    /// Rung at every arrival, for who waits for any message.
    bell: Notify,
}

#[derive(Default)]
struct Shelves {
    all: VecDeque<Arc<InboxMessage>>,
    /// By recipient in small letters, so that who waits for one address reads no other's mail.
    by_recipient: HashMap<String, Vec<Arc<InboxMessage>>>,
    /// Who waits for one recipient's mail, so that nobody else's wakes them.
    waiting: HashMap<String, Weak<Notify>>,
}

impl Inbox {
    /// An empty inbox.
    pub fn new() -> Inbox {
        Inbox {
            shelves: Mutex::default(),
            bell: Notify::new(),
        }
    }

    /// Puts a message in; the oldest makes room.
    pub fn put(&self, message: InboxMessage) {
        let message = Arc::new(message);
        let recipient = message.to.to_lowercase();
        let waiting = {
            let mut shelves = self.lock();
            if shelves.all.len() == MESSAGES_MAX
                && let Some(oldest) = shelves.all.pop_front()
            {
                shelves.forget(&oldest);
            }
            let waiting = shelves.waiting.remove(&recipient);
            let shelf = shelves.by_recipient.entry(recipient).or_default();
            shelf.push(Arc::clone(&message));
            shelves.all.push_back(message);
            waiting.and_then(|waiting| waiting.upgrade())
        };
        if let Some(waiting) = waiting {
            waiting.notify_waiters();
        }
        self.bell.notify_waiters();
    }

    /// The messages to an address (all of them without one), newest last.
    pub fn list(&self, to: Option<&str>) -> Vec<Arc<InboxMessage>> {
        let shelves = self.lock();
        match to {
            None => shelves.all.iter().cloned().collect(),
            Some(to) => shelves
                .by_recipient
                .get(&to.to_lowercase())
                .cloned()
                .unwrap_or_default(),
        }
    }

    /// The same, beyond the message with the id `after`; all of them when there is none such.
    fn list_after(&self, to: Option<&str>, after: Option<&str>) -> Vec<Arc<InboxMessage>> {
        let mut messages = self.list(to);
        let known = after.and_then(|after| messages.iter().rposition(|m| m.id == after));
        match known {
            Some(known) => messages.split_off(known + 1),
            None => messages,
        }
    }

    /// The same, but waits until there is one, at most for `wait`.
    pub async fn wait(
        &self,
        to: Option<&str>,
        after: Option<&str>,
        wait: Duration,
    ) -> Vec<Arc<InboxMessage>> {
        let arrived = async {
            loop {
                let own = to.map(|to| self.lock().bell_of(&to.to_lowercase()));
                let mut rung = pin!(own.as_deref().unwrap_or(&self.bell).notified());
                // Listening begins before the look, so that no arrival falls between the two.
                rung.as_mut().enable();
                let messages = self.list_after(to, after);
                if !messages.is_empty() {
                    return messages;
                }
                rung.await;
            }
        };
        timeout(wait, arrived).await.unwrap_or_default()
    }

    /// Empties it; how many messages there were.
    pub fn clear(&self) -> usize {
        let mut shelves = self.lock();
        shelves.by_recipient.clear();
        std::mem::take(&mut shelves.all).len()
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
    /// The bell of a recipient, shared by all who wait for it. Bells that nobody hears any more go.
    fn bell_of(&mut self, recipient: &str) -> Arc<Notify> {
        if let Some(bell) = self.waiting.get(recipient).and_then(Weak::upgrade) {
            return bell;
        }
        if self.waiting.len() >= BELLS_SWEPT_AT {
            self.waiting.retain(|_, bell| bell.strong_count() > 0);
        }
        let bell = Arc::new(Notify::new());
        self.waiting
            .insert(recipient.to_owned(), Arc::downgrade(&bell));
        bell
    }

    fn forget(&mut self, message: &InboxMessage) {
        let recipient = message.to.to_lowercase();
        if let Some(shelf) = self.by_recipient.get_mut(&recipient) {
            shelf.retain(|kept| kept.id != message.id);
            if shelf.is_empty() {
                self.by_recipient.remove(&recipient);
            }
        }
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Inbox::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(id: usize, to: &str) -> InboxMessage {
        InboxMessage {
            id: id.to_string(),
            to: to.to_owned(),
            channel: String::from("email"),
            template: String::from("registration_otp"),
            subject: String::new(),
            text: String::new(),
            html: None,
            code: None,
            message_id: String::new(),
            sent_at: 0,
            suppressed: None,
        }
    }

    #[tokio::test]
    async fn who_waits_for_an_address_gets_its_mail_and_no_other() {
        let inbox = Arc::new(Inbox::new());
        let waiting: Vec<_> = ["Ada@example.com", "ada@example.com"]
            .map(|to| {
                let inbox = Arc::clone(&inbox);
                tokio::spawn(
                    async move { inbox.wait(Some(to), None, Duration::from_secs(30)).await },
                )
            })
            .into();
        let any = {
            let inbox = Arc::clone(&inbox);
            tokio::spawn(async move { inbox.wait(None, None, Duration::from_secs(30)).await })
        };
        tokio::task::yield_now().await;
        inbox.put(message(1, "bob@example.com"));
        assert_eq!(any.await.unwrap()[0].to, "bob@example.com");
        inbox.put(message(2, "ada@example.com"));
        for waiting in waiting {
            let messages = waiting.await.unwrap();
            assert_eq!((messages.len(), messages[0].id.as_str()), (1, "2"));
        }
        assert!(
            inbox
                .wait(Some("eve@example.com"), None, Duration::ZERO)
                .await
                .is_empty()
        );
    }

    #[test]
    fn the_oldest_makes_room_and_is_gone_for_its_recipient_too() {
        let inbox = Inbox::new();
        for id in 0..=MESSAGES_MAX {
            inbox.put(message(
                id,
                if id == 0 {
                    "first@example.com"
                } else {
                    "rest@example.com"
                },
            ));
        }
        assert_eq!(inbox.list(None).len(), MESSAGES_MAX);
        assert!(inbox.list(Some("first@example.com")).is_empty());
        assert_eq!(inbox.clear(), MESSAGES_MAX);
        assert!(inbox.list(None).is_empty() && inbox.list(Some("rest@example.com")).is_empty());
    }
}
