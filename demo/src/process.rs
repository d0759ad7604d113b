//! Child processes that end with their owner.

use std::{
    io,
    net::{Ipv4Addr, TcpListener},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus},
};

/// A child process that ends with its owner.
#[derive(Debug)]
pub(crate) struct Process(Child);

impl Process {
    /// Starts it in a process group of its own, so that Ctrl-C in a terminal reaches only us and we
    /// end our children in order.
    pub(crate) fn start(command: &mut Command) -> io::Result<Self> {
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(command, 0);
        command.spawn().map(Self)
    }

    /// Its input and output, if they were piped and nobody has them yet.
    pub(crate) fn pipes(&mut self) -> Option<(ChildStdin, ChildStdout)> {
        self.0.stdin.take().zip(self.0.stdout.take())
    }

    /// Sends the signal that asks a program to finish and end; false where there is none.
    pub(crate) fn ask_to_end(&self) -> bool {
        // The standard library can only kill; every shell has `kill` built in.
        cfg!(unix)
            && Command::new("sh")
                .args(["-c", "kill -TERM \"$0\"", &self.0.id().to_string()])
                .status()
                .is_ok_and(|status| status.success())
    }

    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.0.try_wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself, and there is nobody to tell here.
        let _ended_already = self.0.kill();
        let _no_such_child = self.0.wait();
    }
}

/// A port nobody listens on at this moment.
pub(crate) fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}
