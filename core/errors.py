"""One error tree. Every error says what happened, why, and what to try next.

QAError                          exit
├── UsageError                   2    the operator's words or files are off
│   ├── SettingsError                 a YAML file: file, line, key, nearest valid key
│   ├── PairsError                    no usable pair, unreadable file
│   ├── GoldenError                   a golden set that cannot be scored against
│   ├── ReadOnlyMode                  this desk only looks
│   └── NotFound                      no such version, job, snapshot, item
├── RouteError                   3    laptop → jump host → host
│   ├── HostUnreachable               names the hop that failed
│   ├── HostKeyUnknown
│   ├── HostKeyChanged
│   ├── AuthenticationFailed
│   ├── SessionsFull                  the host permits no further channel on the connection
│   └── LinkLost                      was up, is gone; retryable
├── JobError                     4    a job on the host
│   ├── AcceleratorBusy
│   ├── JobActive                     it must have ended first
│   ├── SchedulerRefused              Slurm does not take the job, in its own words
│   └── JobFailed
├── RegistryError                5    registry.db
│   ├── RegistryNewer                 written by a newer program
│   ├── RegistryNotLoaded             no sources to judge citations against
│   ├── ChangedUnderYou               another operator decided first; says which rows did not make it
│   └── Refused                       a transition whose precondition does not hold
├── EnvironmentProblem           6    this machine or the host
│   ├── MissingComponent              a package or a model that is not there
│   ├── SchedulerDown                 Slurm gives no answer
│   ├── DiskFull
│   └── PortTaken
└── Cancelled                    130  the operator said stop
"""

from __future__ import annotations


class QAError(Exception):
    """Base of all errors an operator may see.

    what: one sentence, the fact.  why: the cause if known.  try_next: the next step to take.
    """

    exit_code = 1

    def __init__(self, what: str, *, why: str = "", try_next: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.why = why
        self.try_next = try_next

    def __str__(self) -> str:
        return "\n".join(self.lines())

    def lines(self) -> list[str]:
        """The error as plain lines: what, then why, then what to try."""
        out = [self.what]
        if self.why:
            out.append(f"why: {self.why}")
        if self.try_next:
            out.append(f"try: {self.try_next}")
        return out

    def as_dict(self) -> dict[str, str]:
        """For `--json` output and stored evidence."""
        return {
            "error": type(self).__name__,
            "what": self.what,
            "why": self.why,
            "try_next": self.try_next,
        }


class UsageError(QAError):
    exit_code = 2


class SettingsError(UsageError):
    pass


class PairsError(UsageError):
    pass


class GoldenError(UsageError):
    pass


class ReadOnlyMode(UsageError):
    pass


class NotFound(UsageError):
    pass


class RouteError(QAError):
    exit_code = 3


class HostUnreachable(RouteError):
    pass


class HostKeyUnknown(RouteError):
    pass


class HostKeyChanged(RouteError):
    pass


class AuthenticationFailed(RouteError):
    pass


class SessionsFull(RouteError):
    pass


class LinkLost(RouteError):
    pass


class JobError(QAError):
    exit_code = 4


class AcceleratorBusy(JobError):
    holder: str = ""  # id of the job that has it


class JobActive(JobError):
    pass


class SchedulerRefused(JobError):
    pass


class JobFailed(JobError):
    pass


class RegistryError(QAError):
    exit_code = 5


class RegistryNewer(RegistryError):
    pass


class RegistryNotLoaded(RegistryError):
    pass


class ChangedUnderYou(RegistryError):
    rows: tuple[object, ...] = ()  # audit rows of ours that did not make it, oldest first
    aside: str = ""  # the file that still has them


class Refused(RegistryError):
    pass


class EnvironmentProblem(QAError):
    exit_code = 6


class MissingComponent(EnvironmentProblem):
    pass


class SchedulerDown(EnvironmentProblem):
    pass


class DiskFull(EnvironmentProblem):
    pass


class PortTaken(EnvironmentProblem):
    pass


class Cancelled(QAError):
    exit_code = 130
