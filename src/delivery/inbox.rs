//! The inbox of `vestibule dev`: the last messages, in memory, to be read by people and by tests.

use std::collections::VecDeque;
use std::sync::Mutex;
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
    messages: Mutex<VecDeque<InboxMessage>>,
    arrivals: watch::Sender<u64>,
}

impl Inbox {
    /// An empty inbox.
    pub fn new() -> Inbox {
        Inbox {
            messages: Mutex::new(VecDeque::new()),
            arrivals: watch::Sender::new(0),
        }
    }

    /// Puts a message in; the oldest makes room.
    pub fn put(&self, message: InboxMessage) {
        {
            let mut messages = self.lock();
            if messages.len() == MESSAGES_MAX {
                messages.pop_front();
            }
            messages.push_back(message);
        }
        self.arrivals.send_modify(|count| *count += 1);
    }

    /// The messages to an address (all of them without one), newest last.
    pub fn list(&self, to: Option<&str>) -> Vec<InboxMessage> {
        let is_wanted =
            |message: &&InboxMessage| to.is_none_or(|to| message.to.eq_ignore_ascii_case(to));
        self.lock().iter().filter(is_wanted).cloned().collect()
    }

    /// The same, but waits until there is one, at most for `wait`.
    pub async fn wait(&self, to: Option<&str>, wait: Duration) -> Vec<InboxMessage> {
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
        let mut messages = self.lock();
        let count = messages.len();
        messages.clear();
        count
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<InboxMessage>> {
        self.messages
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Inbox::new()
    }
}
