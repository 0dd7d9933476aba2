//! The activity of a connection: how many of its requests are in progress, and since when nothing has changed. From it follows
//! by when something must have happened, or the connection is closed.
//!
//! Bytes do not count as activity, since a client can send HTTP/2 pings for ever. Requests do, from their head to the
//! last byte of the answer.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use tower_service::Service;

use crate::config::ConnectionsConfig;
use crate::moment::Stopwatch;

/// How long a connection may be in each of its states.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadlines {
    /// Before the first request.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
    /// With requests in progress of which none ends.
    pub request: Duration,
    /// Until the client has accepted a part of what was written.
    pub write: Duration,
}

impl Deadlines {
    /// Those of a config.
    pub fn of(config: &ConnectionsConfig) -> Deadlines {
        Deadlines {
            head: Duration::from_millis(config.head_timeout_ms),
            idle: Duration::from_millis(config.idle_timeout_ms),
            request: Duration::from_millis(config.request_timeout_ms),
            write: Duration::from_millis(config.write_timeout_ms),
        }
    }

    /// The shortest time in which the state of a connection must be looked at again.
    pub fn shortest(&self) -> Duration {
        self.head.min(self.idle).min(self.request)
    }
}

/// The activity of one connection.
pub(super) struct Activity(Mutex<ConnectionState>);

struct ConnectionState {
    in_progress: usize,
    is_first: bool,
    since: Stopwatch,
}

impl Activity {
    /// A connection without requests.
    pub fn new() -> Arc<Activity> {
        Arc::new(Activity(Mutex::new(ConnectionState {
            in_progress: 0,
            is_first: true,
            since: Stopwatch::start(),
        })))
    }

    /// How long the connection may stay as it is; `None` when that time is over.
    pub fn left(&self, deadlines: &Deadlines) -> Option<Duration> {
        let state = self.lock();
        let limit = match (state.in_progress, state.is_first) {
            (0, true) => deadlines.head,
            (0, false) => deadlines.idle,
            _ => deadlines.request,
        };
        let passed = Duration::from_secs_f64(state.since.seconds());
        limit.checked_sub(passed).filter(|left| !left.is_zero())
    }

    /// A request begins; it ends when the returned value is dropped.
    fn begin(self: &Arc<Self>) -> InProgress {
        let mut state = self.lock();
        state.is_first = false;
        if state.in_progress == 0 {
            state.since = Stopwatch::start();
        }
        state.in_progress += 1;
        drop(state);
        InProgress(Arc::clone(self))
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionState> {
        // No code that can panic runs under this lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in progress.
struct InProgress(Arc<Activity>);

impl Drop for InProgress {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.in_progress -= 1;
        state.since = Stopwatch::start();
    }
}

/// The service of a connection, whose requests count as activity.
#[derive(Clone)]
pub(super) struct CountedService<S> {
    inner: S,
    activity: Arc<Activity>,
}

impl<S> CountedService<S> {
    /// Wraps the service of the connection with this activity.
    pub fn new(inner: S, activity: Arc<Activity>) -> CountedService<S> {
        CountedService { inner, activity }
    }
}

impl<S, B> Service<Request<B>> for CountedService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
    S::Future: Send + 'static,
    S::Error: 'static,
{
    type Response = Response<CountedBody>;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let in_progress = self.activity.begin();
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(response.map(|inner| CountedBody {
                inner,
                _in_progress: in_progress,
            }))
        })
    }
}

/// The body of an answer; the request is in progress until it is dropped.
pub(super) struct CountedBody {
    inner: Body,
    _in_progress: InProgress,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_has_a_deadline_in_each_state() {
        let hour = Duration::from_secs(3_600);
        let deadlines = Deadlines {
            head: hour,
            idle: 2 * hour,
            request: 3 * hour,
            write: hour,
        };
        let activity = Activity::new();
        let is_within = |low: u32, high: u32| {
            let left = activity.left(&deadlines).expect("hours are left");
            left > low * hour && left <= high * hour
        };
        assert!(is_within(0, 1), "before the first request");
        let first = activity.begin();
        let second = activity.begin();
        assert!(is_within(2, 3), "with requests");
        drop(first);
        assert!(is_within(2, 3), "with one request");
        drop(second);
        assert!(is_within(1, 2), "between requests");
        let none = Deadlines {
            idle: Duration::ZERO,
            ..deadlines
        };
        assert_eq!(activity.left(&none), None);
    }
}
