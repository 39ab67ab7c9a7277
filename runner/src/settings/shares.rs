//! A share of an agent's calls for another agent: a new agent proves itself with a few callers first.

use ring::digest::{SHA256, digest};
use toml::{Table, Value};

/// A whole, in hundredths of a percent.
const WHOLE: u32 = 10_000;

/// The shares of one agent's calls that other agents get.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shares {
    seed: String,
    /// Each other agent, with its share in hundredths of a percent.
    parts: Vec<(String, u32)>,
}

impl Shares {
    /// Reads `{ other = 5 }`: percents by agent. The `seed` decides which callers are picked.
    ///
    /// # Errors
    /// The fault, as a text that follows the setting's name.
    pub(super) fn read(table: Table, seed: String) -> Result<Self, String> {
        let mut parts = Vec::new();
        for (agent, value) in table {
            let part = hundredths(&value).ok_or_else(|| {
                format!("has no share for {agent}: it must be a percentage from 0.01 to 100, such as {agent} = 5")
            })?;
            parts.push((agent, part));
        }
        match parts.iter().map(|(_, part)| part).sum::<u32>() {
            0..=WHOLE => Ok(Self { seed, parts }),
            _ => Err("has shares of more than 100 percent together".to_owned()),
        }
    }

    /// The agents that get a share.
    pub(super) fn agents(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().map(|(agent, _)| agent.as_str())
    }

    /// The agent that gets this caller's call; `None` if he is in nobody's share. The same caller gets the same agent,
    /// on every instance and after a restart.
    #[must_use]
    pub fn pick(&self, caller: &str) -> Option<&str> {
        let seeded = [self.seed.as_bytes(), b"\0", caller.as_bytes()].concat();
        let hash = digest(&SHA256, &seeded);
        let bytes = hash.as_ref().first_chunk().copied().map_or(0, u64::from_be_bytes);
        let mut place = u32::try_from(bytes % u64::from(WHOLE)).unwrap_or_default();
        for (agent, part) in &self.parts {
            if place < *part {
                return Some(agent);
            }
            place -= part;
        }
        None
    }
}

/// A percentage in hundredths of a percent; `None` if it is no number from 0.01 to 100.
fn hundredths(value: &Value) -> Option<u32> {
    let percent = match value {
        Value::Integer(percent) => f64::from(i32::try_from(*percent).ok()?),
        Value::Float(percent) => *percent,
        _ => return None,
    };
    // A float becomes an integer by its text, without a cast that could lose anything.
    (0.01..=100.0).contains(&percent).then(|| format!("{:.0}", percent * 100.0).parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shares(text: &str, seed: &str) -> Result<Shares, String> {
        Shares::read(toml::from_str(text).unwrap(), seed.to_owned())
    }

    fn caller(n: u32) -> String {
        format!("+1555{n:07}")
    }

    #[test]
    fn five_percent_of_ten_thousand_callers_get_the_other_agent_and_each_always_the_same() {
        let shares = shares("new = 5\nnewer = 0.5", "sales").unwrap();
        let count = |agent: &str| (0..10_000).filter(|n| shares.pick(&caller(*n)) == Some(agent)).count();
        // Three standard deviations of 500 are 65, of 50 they are 21.
        assert!((435..=565).contains(&count("new")), "{}", count("new"));
        assert!((29..=71).contains(&count("newer")), "{}", count("newer"));
        for n in 0..100 {
            assert_eq!(shares.pick(&caller(n)), shares.pick(&caller(n)));
        }
    }

    #[test]
    fn another_seed_picks_other_callers_and_a_share_that_grows_keeps_its_callers() {
        let picked = |text: &str, seed: &str| -> Vec<u32> {
            let shares = shares(text, seed).unwrap();
            (0..1_000).filter(|n| shares.pick(&caller(*n)).is_some()).collect()
        };
        assert_ne!(picked("new = 5", "a"), picked("new = 5", "b"));
        let more = picked("new = 20", "a");
        assert!(picked("new = 5", "a").iter().all(|n| more.contains(n)));
        assert_eq!((picked("new = 100", "a").len(), picked("", "a").len()), (1_000, 0));
    }

    #[test]
    fn the_pick_is_the_same_in_every_version() {
        // Instances of two versions must not disagree on where a call comes back.
        let shares = shares("new = 50", "sales").unwrap();
        let picked: String = (0..16).map(|n| if shares.pick(&caller(n)).is_some() { '1' } else { '0' }).collect();
        assert_eq!(picked, "1010100010011010");
    }

    #[test]
    fn what_is_no_share_is_refused() {
        for (text, fault) in [
            ("new = 0", "has no share for new: it must be a percentage"),
            ("new = 101", "has no share for new"),
            ("new = -5", "has no share for new"),
            ("new = \"5\"", "has no share for new"),
            ("new = nan", "has no share for new"),
            ("new = 60\nnewer = 41", "has shares of more than 100 percent together"),
        ] {
            let told = shares(text, "").unwrap_err();
            assert!(told.starts_with(fault), "{text}: {told}");
        }
        assert!(shares("new = 60\nnewer = 40", "").is_ok());
    }
}
