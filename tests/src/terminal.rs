//! A person at a terminal, for commands that ask for what must not be shown.

use std::{
    fs,
    io::{Read, Write},
    path::Path,
    process::{Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Instant,
};

use crate::{PATIENCE, pepay_binary};

/// How a command ended at a terminal.
#[derive(Debug)]
pub struct Typed {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    /// What there was to be seen beside these: prompts, and whatever was typed in sight.
    pub screen: String,
}

/// Runs `pepay` at a terminal in a folder, and types a line for each of its questions once nothing typed is shown any more.
///
/// # Panics
///
/// If it asks for less.
pub fn type_at_terminal(folder: &Path, arguments: &[&str], lines: &[&str]) -> Typed {
    type_behind(&[], folder, arguments, lines)
}

/// The same of what another command, `before`, runs.
///
/// # Panics
///
/// As [`type_at_terminal`].
pub fn type_behind(before: &[&str], folder: &Path, arguments: &[&str], lines: &[&str]) -> Typed {
    let pepay = pepay_binary().display().to_string();
    let words = before.iter().copied().chain([pepay.as_str()]).chain(arguments.iter().copied());
    let quoted: Vec<_> = words.map(|word| format!("'{word}'")).collect();
    let [stdout, stderr] = ["stdout", "stderr"].map(|name| folder.join(name));
    let run = format!("tty; exec {} >'{}' 2>'{}'", quoted.join(" "), stdout.display(), stderr.display());
    // Of util-linux: the command gets a terminal of its own, and we get its keyboard and screen.
    let mut command = Command::new("script");
    command.args(["--quiet", "--return", "--command", &run, "/dev/null"]).current_dir(folder);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("PEPAY_")) {
        command.env_remove(name);
    }
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script can be run");
    let mut keyboard = child.stdin.take().expect("it is piped");
    let mut screen = Screen::of(child.stdout.take().expect("it is piped"));
    for (asked, line) in (1..).zip(lines) {
        screen.wait_for_question(asked);
        screen.wait_until_nothing_is_shown();
        keyboard.write_all(format!("{line}\n").as_bytes()).expect("the command reads");
        keyboard.flush().expect("the command reads");
    }
    screen.wait_for_end();
    let status = child.wait().expect("the command ends");
    let read = |path| fs::read_to_string(path).expect("the shell made the file");
    Typed { status, stdout: read(stdout), stderr: read(stderr), screen: screen.text }
}

struct Screen {
    text: String,
    shown: Receiver<String>,
}

impl Screen {
    fn of(mut screen: impl Read + Send + 'static) -> Self {
        let (sender, shown) = channel();
        thread::spawn(move || {
            let mut bytes = [0; 1024];
            while let Ok(length @ 1..) = screen.read(&mut bytes) {
                if sender.send(String::from_utf8_lossy(&bytes[..length]).into_owned()).is_err() {
                    break;
                }
            }
        });
        Self { text: String::new(), shown }
    }

    fn wait_for_question(&mut self, number: usize) {
        while self.text.matches(": ").count() < number {
            match self.shown.recv_timeout(PATIENCE) {
                Ok(shown) => self.text.push_str(&shown),
                Err(error) => panic!("no question {number} ({error}): {}", self.text),
            }
        }
    }

    /// A question is asked a moment before the terminal stops to show what is typed.
    fn wait_until_nothing_is_shown(&self) {
        let terminal = self.text.lines().next().expect("its name comes first");
        let deadline = Instant::now() + PATIENCE;
        loop {
            let output = Command::new("stty").args(["-a", "-F", terminal]).output().expect("stty can be run");
            if String::from_utf8_lossy(&output.stdout).split_whitespace().any(|setting| setting == "-echo") {
                return;
            }
            assert!(Instant::now() < deadline, "{terminal} goes on showing what is typed");
        }
    }

    fn wait_for_end(&mut self) {
        loop {
            match self.shown.recv_timeout(PATIENCE) {
                Ok(shown) => self.text.push_str(&shown),
                Err(RecvTimeoutError::Disconnected) => return,
                Err(RecvTimeoutError::Timeout) => panic!("the command does not end: {}", self.text),
            }
        }
    }
}
