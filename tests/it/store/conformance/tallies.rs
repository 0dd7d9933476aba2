//! Tallies: counted by the hour of the clock, summed over whole hours, and swept when no limit needs them any more.

use vestibule::moment::Moment;
use vestibule::store::sweep::{Horizon, sweep};
use vestibule::store::tally;

use super::{in_read, in_write};
use crate::fixture::{START, Site, on_both_databases};

const HOUR: i64 = 3_600;

async fn add(site: &Site, subject: &str, at: Moment) -> i64 {
    let input = (subject.to_owned(), at);
    in_write!(site, input, |tx, input| tally::add(tx, &input.0, input.1)
        .await)
}

async fn sum_since(site: &Site, subject: &str, since: Moment) -> i64 {
    let input = (subject.to_owned(), since);
    in_read!(site, &input, |tx, input| tally::sum_since(
        tx, &input.0, input.1
    )
    .await)
}

on_both_databases! {
    async fn a_tally_counts_by_whole_hours(site: Site) {
        // START is the first instant of an hour.
        let last = Moment::from_millis(START.plus_seconds(HOUR).millis() - 1);
        assert_eq!(add(&site, "a", START).await, 1);
        assert_eq!(add(&site, "a", last).await, 2);
        assert_eq!(add(&site, "a", START.plus_seconds(HOUR)).await, 1);
        assert_eq!(add(&site, "b", START).await, 1);
        assert_eq!(sum_since(&site, "a", START).await, 3);
        assert_eq!(sum_since(&site, "a", last).await, 3, "the whole hour");
        assert_eq!(sum_since(&site, "a", START.plus_seconds(HOUR)).await, 1);
        assert_eq!(sum_since(&site, "a", START.plus_seconds(2 * HOUR)).await, 0);
        assert_eq!(sum_since(&site, "unknown", START).await, 0);
    }
}

on_both_databases! {
    async fn a_tally_is_swept_when_no_daily_limit_needs_it(site: Site) {
        add(&site, "a", START).await;
        let sweep_at = async |at: Moment| in_write!(site, Horizon::at(at), |tx, horizon| sweep(tx, horizon).await);
        // In the last window that still counts the hour it is kept.
        let last = Moment::from_millis(START.plus_seconds(25 * HOUR).millis() - 1);
        assert_eq!(sum_since(&site, "a", last.plus_seconds(-24 * HOUR)).await, 1);
        assert_eq!(sweep_at(last).await, 0);
        assert_eq!(sweep_at(START.plus_seconds(26 * HOUR)).await, 1);
        assert_eq!(sum_since(&site, "a", START).await, 0);
    }
}
