//! kill -9 at every point: nothing acknowledged is lost.
