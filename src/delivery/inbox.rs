//! The inbox of `vestibule dev`: the last messages, in memory, to be read by people and by tests.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio::sync::watch;

/// Messages that are kept; the oldest go first.
const MESSAGES_MAX: usize = 10_000;

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
    /// Why the message carries no code although somebody asked for one.
    pub suppressed: Option<String>,
}

/// The inbox.
pub struct Inbox {
    shelves: Mutex<Shelves>,
    arrivals: watch::Sender<u64>,
}

#[derive(Default)]
struct Shelves {
    all: VecDeque<Arc<InboxMessage>>,
    /// By recipient in small letters, so that who waits for one address reads no other's mail.
    by_recipient: HashMap<String, Vec<Arc<InboxMessage>>>,
}

impl Inbox {
    /// An empty inbox.
    pub fn new() -> Inbox {
        Inbox {
            shelves: Mutex::default(),
            arrivals: watch::Sender::new(0),
        }
    }

    /// Puts a message in; the oldest makes room.
    pub fn put(&self, message: InboxMessage) {
        let message = Arc::new(message);
        {
            let mut shelves = self.lock();
            if shelves.all.len() == MESSAGES_MAX
                && let Some(oldest) = shelves.all.pop_front()
            {
                shelves.forget(&oldest);
            }
            let shelf = shelves
                .by_recipient
                .entry(message.to.to_lowercase())
                .or_default();
            shelf.push(Arc::clone(&message));
            shelves.all.push_back(message);
        }
        self.arrivals.send_modify(|count| *count += 1);
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

    /// The same, but waits until there is one, at most for `wait`.
    pub async fn wait(&self, to: Option<&str>, wait: Duration) -> Vec<Arc<InboxMessage>> {
        let mut arrivals = self.arrivals.subscribe();
        let arrived = async {
            loop {
                let messages = self.list(to);
                if !messages.is_empty() || arrivals.changed().await.is_err() {
                    return messages;
                }
            }
        };
        tokio::time::timeout(wait, arrived)
            .await
            .unwrap_or_default()
    }

    /// Empties it; how many messages there were.
    pub fn clear(&self) -> usize {
        std::mem::take(&mut *self.lock()).all.len()
    }

    fn lock(&self) -> MutexGuard<'_, Shelves> {
        self.shelves.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelves {
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
