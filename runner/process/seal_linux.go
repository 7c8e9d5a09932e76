package process

import "golang.org/x/sys/unix"

// Seal closes this process's memory and environment to others of the same user: /proc/PID/environ and /proc/PID/mem are
// root's from here on, and nobody may trace it. An agent that runs as root, or may become root, sees them all the same.
// Another program that this one is replaced by is not sealed.
func Seal() error { return unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0) }
