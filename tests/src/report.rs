//! A benchmark's table and its file: `{"machine", "measures": [{name, value, unit, must, holds}]}`, raw samples beside it.

use anyhow::{Result, ensure};
use serde::Serialize;
use std::{fmt::Write as _, path::PathBuf};

/// What a measure must hold.
#[derive(Clone, Copy, Debug)]
pub enum Must {
    AtMost(f64),
    AtLeast(f64),
}

#[derive(Serialize)]
struct Measure {
    name: &'static str,
    value: f64,
    unit: &'static str,
    must: String,
    holds: bool,
}

#[derive(Serialize)]
struct File<'a> {
    machine: &'a str,
    measures: &'a [Measure],
}

/// The measures that a benchmark was asked for on its command line.
pub struct Measures(Vec<String>);

impl Measures {
    /// Of this process's arguments; `None` when it was asked for help, which is printed then. Each measure is a line of `help`.
    ///
    /// # Errors
    /// A measure that there is not.
    pub fn asked(help: &str) -> Result<Option<Self>> {
        Self::of(std::env::args().skip(1).collect(), help)
    }

    fn of(wanted: Vec<String>, help: &str) -> Result<Option<Self>> {
        if wanted.iter().any(|a| a.starts_with('-')) {
            print!("{help}");
            return Ok(None);
        }
        for name in &wanted {
            let known = help.lines().any(|l| l.starts_with(&format!("  {name} ")));
            ensure!(known, "there is no measure {name:?}\n\n{help}");
        }
        Ok(Some(Self(wanted)))
    }

    /// Whether this one is to be made: it was named, or none was.
    pub fn want(&self, name: &str) -> bool {
        self.0.is_empty() || self.0.iter().any(|w| w == name)
    }
}

/// Measures so far.
pub struct Report {
    name: &'static str,
    machine: String,
    measures: Vec<Measure>,
    folder: PathBuf,
}

impl Report {
    /// A report that is written as `target/bench/<name>.json`.
    pub fn new(name: &'static str) -> Self {
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
        Self {
            name,
            machine: machine(),
            measures: Vec::new(),
            folder: target.join("bench"),
        }
    }

    /// Adds a measure with its raw samples and says it at once.
    pub fn add(
        &mut self,
        name: &'static str,
        value: f64,
        unit: &'static str,
        must: Must,
        samples: &[f64],
    ) -> Result<()> {
        let (text, holds) = match must {
            Must::AtMost(limit) => (format!("<= {limit}"), value <= limit),
            Must::AtLeast(limit) => (format!(">= {limit}"), value >= limit),
        };
        println!(
            "{name:<38} {value:>10.2} {unit:<6} must {text:<8} {}",
            if holds { "holds" } else { "DOES NOT HOLD" }
        );
        std::fs::create_dir_all(&self.folder)?;
        let mut raw = String::new();
        for s in samples {
            writeln!(raw, "{s}")?;
        }
        std::fs::write(self.folder.join(format!("{name}.csv")), raw)?;
        self.measures.push(Measure {
            name,
            value,
            unit,
            must: text,
            holds,
        });
        Ok(())
    }

    /// Writes the file; whether everything holds.
    pub fn finish(self) -> Result<bool> {
        let path = self.folder.join(format!("{}.json", self.name));
        std::fs::create_dir_all(&self.folder)?;
        std::fs::write(
            &path,
            serde_json::to_string_pretty(&File {
                machine: &self.machine,
                measures: &self.measures,
            })?,
        )?;
        println!("\n{}\n{}", self.machine, path.display());
        Ok(self.measures.iter().all(|m| m.holds))
    }
}

/// Processor, cores, memory and kernel, in a line.
fn machine() -> String {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let cpu = read("/proc/cpuinfo");
    let model = cpu
        .lines()
        .find_map(|l| l.strip_prefix("model name"))
        .map_or("unknown processor", |l| l.trim_start_matches([' ', '\t', ':']));
    let cores = cpu.lines().filter(|l| l.starts_with("processor")).count();
    let kib: u64 = read("/proc/meminfo")
        .lines()
        .find_map(|l| l.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse().ok())
        .unwrap_or(0);
    format!(
        "{cores} cores {model}, {} GiB, Linux {}",
        kib / 1024 / 1024,
        read("/proc/sys/kernel/osrelease").trim()
    )
}

/// The `p`-th percentile (0 to 100) by nearest rank.
pub fn percentile(samples: &[f64], p: f64) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = ((p / 100.0 * sorted.len() as f64).ceil() as usize).clamp(1, sorted.len().max(1));
    sorted.get(rank - 1).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_benchmark_makes_the_measures_it_is_asked_for_and_knows_no_other() {
        let help = "bench [MEASURE…]\n\n  click   a click\n  echo    a key\n";
        let of = |args: &[&str]| Measures::of(args.iter().map(|a| (*a).to_owned()).collect(), help);
        let all = of(&[]).unwrap().unwrap();
        assert!(all.want("click") && all.want("echo"));
        let one = of(&["echo"]).unwrap().unwrap();
        assert!(!one.want("click") && one.want("echo"));
        assert!(of(&["--help"]).unwrap().is_none());
        assert!(of(&["ech"]).is_err() && of(&["bench"]).is_err());
    }
}
