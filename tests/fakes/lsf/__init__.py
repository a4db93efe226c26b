"""A stand-in for IBM Spectrum LSF 10.1: bsub, bjobs, bkill, bhist and bacct that really run jobs.

`front` receives a call, `state` is what mbatchd would know (SQLite, one writer at a time), `daemon` starts
the jobs and watches them. A daemon is started by the first command that leaves it work, outlives that
command, and ends when it has been idle. Formats follow IBM's pages, named in `golden/README.md`.

Environment of the commands (all but the first are optional):

=============================  ========================================================================
FAKE_LSF_DIR                   State directory. Made when missing.
FAKE_LSF_SLOTS                 Job slots of the one host; 4 by default.
FAKE_LSF_QUEUES                Queues, the default one first; `normal short long`.
FAKE_LSF_MAX_ARRAY             MAX_JOB_ARRAY_SIZE; 1000.
FAKE_LSF_CLEAN_PERIOD          Seconds a finished job stays in bjobs; 3600.
FAKE_LSF_MINUTE                Seconds in a minute of `-W`; 60.
FAKE_LSF_TERMINATE_INTERVAL    JOB_TERMINATE_INTERVAL, seconds between INT, TERM and KILL; 10.
FAKE_LSF_IDLE                  Seconds without unfinished jobs after which the daemon ends; 2.
LSB_STDOUT_DIRECT              `Y`: output goes to its file as the job runs, not when it has ended.
LSB_BJOBS_CONSISTENT_EXIT_CODE `Y`: bjobs exits with 255 when it found nothing.
LSB_BJOBS_DISPLAY_ENH          `Y`: the JOBID column of an array element is `456[3]`.
LSB_BJOBS_FORMAT               Columns of a plain `bjobs`, as for `-o`.
LSB_DEFAULTQUEUE               Default queue of bsub.
LSB_DISPLAY_YEAR               `Y`: long formats write the year after the time.
BSUB_QUIET, BSUB_STDERR        bsub says nothing; bsub says it on stderr.
=============================  ========================================================================

Faults. A fault is a file `faults/<name>.json` in the state directory that holds an object of the fields
below; it acts while the file is there. Every fault may carry `times` (it goes away after that many uses)
and those on jobs carry `jobs`: ids (`"12"`), elements (`"12[3]"`) or patterns of names; all jobs without.

=================  ====================================================================================
late_visibility    `seconds`: bjobs does not find a job until that long after its submission.
lost_answer        bsub submits, but `how` = `silent` (exit 0, prints nothing), `exit255` (no words), or
                   `hang` (says nothing for `seconds`, 3600 by default). `accepted: false`: nothing was
                   submitted either.
chatter            bsub prints `before` and `after` around its answer; `stream` = `stdout` or `stderr`.
refused            bsub refuses: `reason` = `queue_closed`, `permission`, `threshold`, or any other text,
                   said as it stands. `threshold` waits and asks again every `retry` seconds (60), as bsub
                   does; with `retry: 0` it gives up.
down               `LSF is down. Please wait ...` and exit 255, for `commands` (all); `wait`: that many
                   seconds later, with the line repeated.
slow               `commands` (all) take `seconds` longer.
old_release        bjobs knows none of the options `without`; `["-o", "-json"]` by default.
forgotten          Finished jobs are unknown to the programs in `by`: `["bjobs"]` by default; also `bhist`
                   (it still knows with `-n`, in the rotated logs), `bhist -n`, `bacct`.
held_back          Pending jobs are not started; `stat` = `PEND`, `PROV` or `WAIT`.
suspended          Running jobs are stopped; `stat` = `USUSP` or `SSUSP`. Pending ones with `PSUSP`.
unreachable        The host does not answer: running jobs are `stat` = `UNKWN` or `ZOMBI`, run on, and their
                   end is unknown until the fault is cleared.
memory_kill        Running jobs are killed (signal 9) and end with TERM_MEMLIMIT, `after` seconds (0).
host_dies          Once: running jobs are killed, are UNKWN for `seconds` (1), then end with TERM_ZOMBIE.
=================  ====================================================================================

Accepted without effect: -app, -B, -b, -C, -c, -D, -E, -Ep, -F, -G, -g, -gpu, -L, -m, -M, -R (its brackets are
checked), -sla, -sp, -u, -We, -x and their like. Not offered, and refused: -I..., -w, -pack, -k.
"""
