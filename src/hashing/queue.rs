//! The queue in front of the hashing threads: bounded in total, and fair between networks and between the users of a
//! network, so that one of them that sends very many passwords waits for itself and not the others for it.

use std::collections::VecDeque;
use std::net::IpAddr;

use crate::network::{Prefix, prefixes_of};

/// The line in which a job waits: that of a network, and in it of a user. Lines are served in turn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueLine {
    network: Option<Prefix>,
    user: String,
}

impl QueueLine {
    /// The line of a caller's address and of the user that the request names. Of the address its widest prefix counts,
    /// so that a customer with many prefixes has one turn.
    pub fn of(ip: IpAddr, user: &str) -> QueueLine {
        QueueLine {
            network: prefixes_of(ip).last(),
            user: user.to_owned(),
        }
    }
}

/// Jobs in their lines.
pub(super) struct FairQueue<T> {
    networks: VecDeque<NetworkLines<T>>,
    length: usize,
}

struct NetworkLines<T> {
    network: Option<Prefix>,
    users: VecDeque<(String, VecDeque<T>)>,
    length: usize,
}

impl<T> FairQueue<T> {
    /// No jobs.
    pub fn new() -> FairQueue<T> {
        FairQueue {
            networks: VecDeque::new(),
            length: 0,
        }
    }

    /// How many jobs wait.
    pub fn len(&self) -> usize {
        self.length
    }

    /// Adds a job. If `capacity` jobs wait, the newest job of the longest line makes room for it, provided that the
    /// job's own line remains shorter.
    ///
    /// # Errors
    /// The job: there is no room.
    pub fn push(&mut self, line: QueueLine, job: T, capacity: usize) -> Result<(), T> {
        if self.length >= capacity && !self.make_room(&line) {
            return Err(job);
        }
        let QueueLine { network, user } = line;
        let found = self.networks.iter().position(|own| own.network == network);
        let index = found.unwrap_or_else(|| {
            self.networks.push_back(NetworkLines {
                network,
                users: VecDeque::new(),
                length: 0,
            });
            self.networks.len() - 1
        });
        self.networks[index].push(user, job);
        self.length += 1;
        Ok(())
    }

    /// The next job: of the network whose turn it is, that of the user whose turn it is.
    pub fn pop(&mut self) -> Option<T> {
        let mut network = self.networks.pop_front()?;
        let job = network.pop();
        if network.length > 0 {
            self.networks.push_back(network);
        }
        self.length -= usize::from(job.is_some());
        job
    }

    /// Keeps the jobs that are still wanted.
    pub fn retain(&mut self, is_wanted: impl Fn(&T) -> bool) {
        for network in &mut self.networks {
            for (_, jobs) in &mut network.users {
                jobs.retain(&is_wanted);
            }
            network.users.retain(|(_, jobs)| !jobs.is_empty());
            network.length = network.users.iter().map(|(_, jobs)| jobs.len()).sum();
        }
        self.networks.retain(|network| network.length > 0);
        self.length = self.networks.iter().map(|network| network.length).sum();
    }

    /// Drops a job for one more in this line, if another line is longer than this one would be.
    fn make_room(&mut self, line: &QueueLine) -> bool {
        let own = |network: &NetworkLines<T>| network.network == line.network;
        let length = self
            .networks
            .iter()
            .find(|network| own(network))
            .map_or(0, |network| network.length);
        let longest = self
            .networks
            .iter_mut()
            .max_by_key(|network| network.length);
        let is_dropped = match longest {
            Some(network) if network.length > length + 1 => network.drop_newest(|_| true),
            _ => {
                let network = self.networks.iter_mut().find(|network| own(network));
                network.is_some_and(|network| {
                    let length = network.length_of(&line.user);
                    network.drop_newest(|longest| longest > length + 1)
                })
            }
        };
        self.length -= usize::from(is_dropped);
        is_dropped
    }
}

impl<T> NetworkLines<T> {
    fn push(&mut self, user: String, job: T) {
        self.length += 1;
        match self.users.iter_mut().find(|(name, _)| *name == user) {
            Some((_, jobs)) => jobs.push_back(job),
            None => self.users.push_back((user, VecDeque::from([job]))),
        }
    }

    fn pop(&mut self) -> Option<T> {
        let (user, mut jobs) = self.users.pop_front()?;
        let job = jobs.pop_front();
        if !jobs.is_empty() {
            self.users.push_back((user, jobs));
        }
        self.length -= usize::from(job.is_some());
        job
    }

    fn length_of(&self, user: &str) -> usize {
        let found = self.users.iter().find(|(name, _)| name == user);
        found.map_or(0, |(_, jobs)| jobs.len())
    }

    /// Drops the newest job of the longest line, if its length permits it.
    fn drop_newest(&mut self, may_lose_one: impl Fn(usize) -> bool) -> bool {
        let longest = self.users.iter_mut().max_by_key(|(_, jobs)| jobs.len());
        let Some((_, jobs)) = longest.filter(|(_, jobs)| may_lose_one(jobs.len())) else {
            return false;
        };
        jobs.pop_back();
        self.users.retain(|(_, jobs)| !jobs.is_empty());
        self.length -= 1;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(network: u8, user: &str) -> QueueLine {
        QueueLine::of(IpAddr::from([192, 0, network, 1]), user)
    }

    fn drain<T>(queue: &mut FairQueue<T>) -> Vec<T> {
        std::iter::from_fn(|| queue.pop()).collect()
    }

    #[test]
    fn networks_are_served_in_turn_and_in_them_users() {
        let mut queue = FairQueue::new();
        for job in ["1a1", "1a2", "1a3", "1b1", "2c1", "2c2"] {
            let network = job.as_bytes()[0];
            queue.push(line(network, &job[1..2]), job, 9).unwrap();
        }
        assert_eq!(queue.len(), 6);
        let served = drain(&mut queue);
        assert_eq!(served, ["1a1", "2c1", "1b1", "2c2", "1a2", "1a3"]);
        assert_eq!(queue.len(), 0);
    }

    #[test]
    fn the_addresses_of_a_customer_are_one_network() {
        let of = |ip: &str| QueueLine::of(ip.parse().unwrap(), "u").network;
        assert_eq!(of("192.0.2.1"), of("::ffff:192.0.2.200"));
        assert_eq!(of("2001:db8:1:1::1"), of("2001:db8:1:ffff::1"));
        assert_ne!(of("2001:db8:1::1"), of("2001:db8:2::1"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
    }

    #[test]
    fn a_full_queue_makes_room_for_a_shorter_line_and_for_no_other() {
        let mut queue = FairQueue::new();
        for job in 0..4 {
            queue.push(line(1, "flood"), job, 4).unwrap();
        }
        assert_eq!(queue.push(line(1, "flood"), 4, 4), Err(4));
        // Another network and another user of the same network: the newest of the flood goes.
        queue.push(line(2, "victim"), 10, 4).unwrap();
        queue.push(line(1, "victim"), 11, 4).unwrap();
        assert_eq!(queue.len(), 4);
        // Three of network 1 and one of network 2: it gets no more than an equal share.
        queue.push(line(2, "victim"), 12, 4).unwrap();
        assert_eq!(queue.push(line(2, "victim"), 13, 4), Err(13));
        assert_eq!(queue.len(), 4);
        let mut served = drain(&mut queue);
        assert_eq!(served[1], 10);
        served.sort_unstable();
        assert!(served.contains(&0) && served.contains(&12));
    }

    #[test]
    fn with_a_job_of_each_network_a_full_queue_is_full_for_all() {
        let mut queue = FairQueue::new();
        for network in 0..4 {
            queue.push(line(network, "u"), network, 4).unwrap();
        }
        assert_eq!(queue.push(line(9, "u"), 9, 4), Err(9));
    }

    #[test]
    fn jobs_that_are_no_longer_wanted_leave_no_line() {
        let mut queue = FairQueue::new();
        for (network, job) in [(1, 1), (1, 2), (2, 3)] {
            queue.push(line(network, "u"), job, 9).unwrap();
        }
        queue.retain(|job| *job == 2);
        assert_eq!((queue.len(), queue.networks.len()), (1, 1));
        assert_eq!(drain(&mut queue), [2]);
    }
}
