//! The inbox of `vestibule dev`: the latest messages, in memory, for people and for tests.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::Notify;
use tokio::time::timeout;

/// The maximum number of stored messages; the oldest are dropped first.
const MESSAGES_MAX: usize = 10_000;

/// The number of signals at which those without a listener are removed.
const SIGNALS_SWEPT_AT: usize = 1_024;

/// A message in the inbox.
#[derive(Clone, Debug, Serialize)]
pub struct InboxMessage {
    /// Unique.
    pub id: String,
    /// Address or number.
    pub to: String,
    /// `email` or `sms`.
    pub channel: String,
    /// The template that was rendered.
    pub template: String,
    /// Subject; empty for a text message.
    pub subject: String,
    /// The text.
    pub text: String,
    /// The HTML part.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub html: Option<String>,
    /// The one-time password in it. The inbox exists to show it; there is no inbox outside `vestibule dev`.
    pub code: Option<String>,
    /// Message-ID.
    pub message_id: String,
    /// When it arrived, in milliseconds since the epoch.
    pub sent_at: i64,
    /// Why the message was suppressed although a code was requested. Such a message was not sent and has no text,
    /// except the note to the owner of an address that was registered again.
    pub suppressed: Option<String>,
}

/// The inbox.
pub struct Inbox {
    stored: Mutex<Stored>,
    /// Notified at every arrival, for callers that wait for any message.
    signal: Notify,
}

#[derive(Default)]
struct Stored {
    all: VecDeque<Arc<InboxMessage>>,
    /// By recipient in lower case, so that a caller that waits for one address does not scan the others.
    by_recipient: HashMap<String, Vec<Arc<InboxMessage>>>,
    /// One signal per recipient that a caller waits for, so that other messages do not wake it.
    waiting: HashMap<String, Weak<Notify>>,
}

impl Inbox {
    /// An empty inbox.
    pub fn new() -> Inbox {
        Inbox {
            stored: Mutex::default(),
            signal: Notify::new(),
        }
    }

    /// Adds a message; the oldest is dropped when the inbox is full.
    pub fn put(&self, message: InboxMessage) {
        let message = Arc::new(message);
        let recipient = message.to.to_lowercase();
        let waiting = {
            let mut stored = self.lock();
            if stored.all.len() == MESSAGES_MAX
                && let Some(oldest) = stored.all.pop_front()
            {
                stored.forget(&oldest);
            }
            let waiting = stored.waiting.remove(&recipient);
            let messages_of = stored.by_recipient.entry(recipient).or_default();
            messages_of.push(Arc::clone(&message));
            stored.all.push_back(message);
            waiting.and_then(|waiting| waiting.upgrade())
        };
        if let Some(waiting) = waiting {
            waiting.notify_waiters();
        }
        self.signal.notify_waiters();
    }

    /// The messages to an address (or all), newest last.
    pub fn list(&self, to: Option<&str>) -> Vec<Arc<InboxMessage>> {
        let stored = self.lock();
        match to {
            None => stored.all.iter().cloned().collect(),
            Some(to) => stored
                .by_recipient
                .get(&to.to_lowercase())
                .cloned()
                .unwrap_or_default(),
        }
    }

    /// The messages after the one with the id `after`; all of them when it does not exist.
    fn list_after(&self, to: Option<&str>, after: Option<&str>) -> Vec<Arc<InboxMessage>> {
        let mut messages = self.list(to);
        let known = after.and_then(|after| messages.iter().rposition(|m| m.id == after));
        match known {
            Some(known) => messages.split_off(known + 1),
            None => messages,
        }
    }

    /// As `list`, but waits until there is a message, at most for `wait`.
    pub async fn wait(
        &self,
        to: Option<&str>,
        after: Option<&str>,
        wait: Duration,
    ) -> Vec<Arc<InboxMessage>> {
        let arrived = async {
            loop {
                let of_recipient = to.map(|to| self.lock().signal_of(&to.to_lowercase()));
                let mut notified = pin!(of_recipient.as_deref().unwrap_or(&self.signal).notified());
                // Listening starts before the look-up, so that no arrival is missed between the two.
                notified.as_mut().enable();
                let messages = self.list_after(to, after);
                if !messages.is_empty() {
                    return messages;
                }
                notified.await;
            }
        };
        timeout(wait, arrived).await.unwrap_or_default()
    }

    /// Removes all messages and returns their number.
    pub fn clear(&self) -> usize {
        let mut stored = self.lock();
        stored.by_recipient.clear();
        std::mem::take(&mut stored.all).len()
    }

    fn lock(&self) -> MutexGuard<'_, Stored> {
        self.stored.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Stored {
    /// The signal of a recipient, shared by all callers that wait for it. Signals without a listener are removed.
    fn signal_of(&mut self, recipient: &str) -> Arc<Notify> {
        if let Some(signal) = self.waiting.get(recipient).and_then(Weak::upgrade) {
            return signal;
        }
        if self.waiting.len() >= SIGNALS_SWEPT_AT {
            self.waiting.retain(|_, signal| signal.strong_count() > 0);
        }
        let signal = Arc::new(Notify::new());
        self.waiting
            .insert(recipient.to_owned(), Arc::downgrade(&signal));
        signal
    }

    fn forget(&mut self, message: &InboxMessage) {
        let recipient = message.to.to_lowercase();
        if let Some(messages_of) = self.by_recipient.get_mut(&recipient) {
            messages_of.retain(|kept| kept.id != message.id);
            if messages_of.is_empty() {
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
    fn the_oldest_message_is_dropped_for_its_recipient_too() {
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
