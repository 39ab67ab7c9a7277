//! Runs conversation files, several at a time.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use dialbridge_runner::settings::Settings;
use tokio::sync::Semaphore;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;

use super::check::Difference;
use super::file::ConversationFile;
use super::seen::SeenCall;
use super::stack::Surroundings;
use super::url::RunningService;

/// Where the agent's side of the calls comes from.
#[derive(Debug, Clone)]
pub enum Mode {
    /// From the tapes; of one edition, or of each that there is.
    Offline(Option<String>),
    /// From the agent of the settings.
    Live(Surroundings),
    /// From there too, and the tapes are kept.
    Record(Surroundings),
    /// From a running service.
    Url(RunningService),
}

/// How to run files.
#[derive(Clone)]
pub struct Run {
    /// Where the agent's side comes from.
    pub mode: Mode,
    /// The settings as given.
    pub settings: Settings,
    /// Settings for all calls, as `NAME=VALUE`.
    pub changes: Vec<String>,
    /// How many run at once.
    pub jobs: usize,
    /// How often a call that went wrong is placed again.
    pub retries: u32,
}

/// The result of a file.
#[derive(Debug, Clone)]
pub struct TestResult {
    /// The file.
    pub path: PathBuf,
    /// Its name in reports.
    pub name: String,
    /// The edition of the agent, where it is known.
    pub edition: Option<&'static str>,
    /// Whether it is as it should be.
    pub verdict: Verdict,
    /// How often it was run.
    pub tries: u32,
    /// How long it took, all tries together.
    pub took: Duration,
    /// The call, if it was played.
    pub seen: Option<SeenCall>,
    /// The steps' numbers in the file, for `seen`.
    pub numbers: Vec<usize>,
    /// The tape that was kept.
    pub recorded: Option<PathBuf>,
}

/// Whether a call is as its file expects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is.
    Passed,
    /// It is not.
    Failed(Vec<Difference>),
    /// The test could not be run: why, line by line.
    Broken(Vec<String>),
}

impl TestResult {
    /// A file that could not be run.
    #[must_use]
    pub fn broken(path: &Path, faults: Vec<String>) -> Self {
        Self {
            path: path.to_owned(),
            name: path.display().to_string(),
            edition: None,
            verdict: Verdict::Broken(faults),
            tries: 1,
            took: Duration::ZERO,
            seen: None,
            numbers: Vec::new(),
            recorded: None,
        }
    }

    /// Whether it passed, but not at once.
    #[must_use]
    pub fn is_flaky(&self) -> bool {
        self.verdict == Verdict::Passed && self.tries > 1
    }
}

/// One run of a file.
#[derive(Debug, Clone)]
struct Job {
    file: Arc<ConversationFile>,
    /// The edition of the tape.
    edition: Option<&'static str>,
}

impl Run {
    /// Runs the files, and hands over each result as it comes. Returns how many runs there were.
    pub async fn files(
        &self,
        paths: impl IntoIterator<Item = PathBuf>,
        mut done: impl FnMut(TestResult, usize),
    ) -> usize {
        let (mut jobs, mut broken) = (Vec::new(), Vec::new());
        for path in paths {
            match self.jobs_of(&path) {
                Ok(of_file) => jobs.extend(of_file),
                Err(faults) => broken.push(TestResult::broken(&path, faults)),
            }
        }
        let count = jobs.len() + broken.len();
        broken.into_iter().for_each(|result| done(result, count));
        let permits = Arc::new(Semaphore::new(self.jobs));
        let (mut tasks, mut running) = (JoinSet::<TestResult>::new(), BTreeMap::<Id, Job>::new());
        for job in jobs {
            let (run, permits, of_task) = (self.clone(), permits.clone(), job.clone());
            let task = tasks.spawn(async move {
                // Never closed, so a permit always comes.
                let _permit = permits.acquire_owned().await;
                run.job(of_task).await
            });
            running.insert(task.id(), job);
        }
        while let Some(joined) = tasks.join_next_with_id().await {
            let result = joined.map(|(_, result)| result).or_else(|error| {
                let job = running.get(&error.id());
                job.map(|job| job.broken(vec![broken_off(&error)])).ok_or(error)
            });
            result.into_iter().for_each(|result| done(result, count));
        }
        count
    }

    fn jobs_of(&self, path: &Path) -> Result<Vec<Job>, Vec<String>> {
        let file = ConversationFile::read(path);
        let file = Arc::new(file.map_err(|error| error.0.iter().map(ToString::to_string).collect::<Vec<_>>())?);
        let Mode::Offline(wanted) = &self.mode else { return Ok(vec![Job { file, edition: None }]) };
        let editions = file.recorded_editions();
        let chosen: Vec<&'static str> = match wanted {
            Some(wanted) => editions.into_iter().filter(|edition| edition == wanted).collect(),
            None => editions,
        };
        if chosen.is_empty() {
            let edition = wanted.as_deref().unwrap_or("EDITION");
            let tape = file.tape_path(edition);
            let why = format!(
                "there is no recorded run ({}): dialbridge test --record {} makes one with the agent of the settings",
                tape.display(),
                path.display()
            );
            return Err(vec![why]);
        }
        Ok(chosen.into_iter().map(|edition| Job { file: file.clone(), edition: Some(edition) }).collect())
    }

    async fn job(self, job: Job) -> TestResult {
        let began = Instant::now();
        let mut tries = 1;
        loop {
            let mut result = self.once(&job).await;
            let may_retry = !matches!(self.mode, Mode::Offline(_)) && tries <= self.retries;
            if !matches!(result.verdict, Verdict::Failed(_)) || !may_retry {
                (result.tries, result.took) = (tries, began.elapsed());
                return result;
            }
            tries += 1;
        }
    }

    async fn once(&self, job: &Job) -> TestResult {
        let file = &job.file;
        let played = match &self.mode {
            Mode::Offline(_) => self.offline(job).await.map(|seen| (job.edition, seen, None)),
            Mode::Live(surroundings) => {
                let call = file.place(surroundings, &self.settings, &self.changes).await;
                call.map(|call| (Some(call.edition), call.seen, None))
            }
            Mode::Url(service) => match file.place_at(service).await {
                Ok(seen) => Ok((None, seen, None)),
                Err(faults) => Err(faults.join("\n       ")),
            },
            Mode::Record(surroundings) => match file.place(surroundings, &self.settings, &self.changes).await {
                Ok(call) => call.keep(file).map(|path| (Some(call.edition), call.seen, Some(path))),
                Err(why) => Err(why),
            },
        };
        match played {
            Err(why) => job.broken(vec![why]),
            Ok((edition, seen, recorded)) => {
                let verdict = verdict(file, &seen);
                TestResult { verdict, edition, recorded, seen: Some(seen), ..job.broken(Vec::new()) }
            }
        }
    }

    async fn offline(&self, job: &Job) -> Result<SeenCall, String> {
        let (file, edition, changes) = (job.file.clone(), job.edition.unwrap_or_default(), self.changes.clone());
        let played = tokio::task::spawn_blocking(move || file.play_offline(edition, &changes)).await;
        played.unwrap_or_else(|error| Err(broken_off(&error)))
    }
}

impl Job {
    /// A run that could not be made.
    fn broken(&self, faults: Vec<String>) -> TestResult {
        let file = &self.file;
        TestResult {
            name: file.name.clone(),
            edition: self.edition,
            numbers: file.steps.iter().map(|step| step.number).collect(),
            ..TestResult::broken(&file.path, faults)
        }
    }
}

/// The sentence for a run that has panicked.
fn broken_off(error: &JoinError) -> String {
    format!("the run has broken off by a fault of this program; please report it: {error}")
}

/// A call that leaves its tape fails only before that moment: nobody knows what comes after it.
fn verdict(file: &ConversationFile, seen: &SeenCall) -> Verdict {
    if let Some(stopped) = &seen.stopped {
        return Verdict::Broken(vec![stopped.clone()]);
    }
    let differences = seen.differences(file);
    if differences.is_empty() { Verdict::Passed } else { Verdict::Failed(differences) }
}
