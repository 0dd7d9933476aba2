//! Races: many at once, and one succeeds.
