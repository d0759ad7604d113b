//! A throw-away PostgreSQL for the tests: one server for each test program, an empty database for each test.
//!
//! It is the system's own PostgreSQL, with its own files in a folder of its own, reached through a socket in
//! that folder and by nothing else. It stops, and its files go, when the test program ends, however it ends.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{
        LazyLock,
        atomic::{AtomicU32, Ordering},
    },
};

/// Where Debian keeps PostgreSQL: one folder for each version.
const DEBIAN: &str = "/usr/lib/postgresql";

/// Makes a cluster, says where it is, and runs it until nobody holds the other end of standard input.
///
/// Settings are the default ones, so what is committed is flushed as in earnest.
const SCRIPT: &str = r#"
set -e
bin=$1
folder=$(mktemp -d "${TMPDIR:-/tmp}/pepay-postgres-XXXXXXXX")
chmod 755 "$folder"
trap 'rm -rf "$folder"' EXIT
"$bin/initdb" -D "$folder/data" -U pepay --auth=trust --encoding=UTF8 --locale=C >"$folder/initdb.log" 2>&1 </dev/null ||
    { cat "$folder/initdb.log" >&2; exit 1; }
"$bin/pg_ctl" start --silent -w -D "$folder/data" -l "$folder/server.log" \
    -o "-c listen_addresses= -c unix_socket_directories=$folder -c max_connections=300 -c log_min_messages=info" \
    </dev/null >/dev/null 2>&1 || { cat "$folder/server.log" >&2; exit 1; }
trap '"$bin/pg_ctl" stop --silent -m immediate -D "$folder/data" >/dev/null 2>&1; rm -rf "$folder"' EXIT
trap '' INT TERM
echo "$folder"
read -r _ || true
"#;

/// A running server.
pub struct Cluster {
    folder: PathBuf,
    binaries: PathBuf,
    /// The server runs for as long as its input is open.
    script: Child,
}

/// The server of this test program.
static SHARED: LazyLock<Cluster> = LazyLock::new(Cluster::start);

/// An empty database of its own.
///
/// # Panics
///
/// If PostgreSQL is not installed or does not start.
pub fn new_database() -> String {
    SHARED.new_database()
}

/// A database of its own that begins as [`new_database`] `original` is now. Nobody may be connected to that.
///
/// # Panics
///
/// If the server refuses.
pub fn copy_of(original: &str) -> String {
    SHARED.create(&["--template", database_name(original)])
}

impl Cluster {
    /// Starts a server with default settings.
    ///
    /// # Panics
    ///
    /// If PostgreSQL is not installed or does not start.
    pub fn start() -> Self {
        let binaries = binaries().expect("PostgreSQL is installed; `cargo xtask test` does it on Debian");
        let is_root =
            fs::metadata("/proc/self").is_ok_and(|process| std::os::unix::fs::MetadataExt::uid(&process) == 0);
        // The server refuses to run as root.
        let mut command = if is_root {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--", "sh"]);
            command
        } else {
            Command::new("sh")
        };
        command.args(["-c", SCRIPT, "sh"]).arg(&binaries).current_dir("/");
        let mut script = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a shell can be run");
        let mut folder = String::new();
        let output = script.stdout.take().expect("the output is piped");
        BufReader::new(output).read_line(&mut folder).expect("the script can be heard");
        assert!(!folder.is_empty(), "PostgreSQL started; why not is told above");
        Self { folder: folder.trim_end().into(), binaries, script }
    }

    /// Creates an empty database and returns its URL.
    ///
    /// # Panics
    ///
    /// If the server refuses.
    pub fn new_database(&self) -> String {
        self.create(&[])
    }

    fn create(&self, options: &[&str]) -> String {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test_{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let created = Command::new(self.binaries.join("createdb"))
            .arg("-h")
            .arg(&self.folder)
            .args(options)
            .args(["-U", "pepay", &name])
            .status()
            .expect("createdb can be run");
        assert!(created.success(), "the database is created");
        self.url(&name)
    }

    fn url(&self, database: &str) -> String {
        format!("postgres:///{database}?host={}&user=pepay", self.folder.display())
    }

    /// What the server has logged.
    ///
    /// # Panics
    ///
    /// If it cannot be read.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("server.log")).expect("the log can be read")
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        // Waiting closes the input first. A server that cannot be waited for is no reason to fail the test.
        let _ended = self.script.wait();
    }
}

/// The name in a URL of ours.
fn database_name(url: &str) -> &str {
    let (_, path) = url.split_once(":///").expect("it is a URL of a database of ours");
    path.split('?').next().unwrap_or(path)
}

/// The folder with PostgreSQL's programs: `POSTGRES_BIN`, or Debian's newest, or one on `PATH`.
pub fn binaries() -> Option<PathBuf> {
    let is_complete = |folder: &Path| ["initdb", "pg_ctl", "createdb"].iter().all(|name| folder.join(name).is_file());
    if let Some(folder) = env::var_os("POSTGRES_BIN") {
        return Some(PathBuf::from(folder)).filter(|folder| is_complete(folder));
    }
    let versions = fs::read_dir(DEBIAN).into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .filter(|(_, folder)| is_complete(folder))
        .max()
        .map(|(_, folder)| folder);
    newest.or_else(|| env::split_paths(&env::var_os("PATH")?).find(|folder| is_complete(folder)))
}
