// Package cli is the command line: the plain daemon's `homelab-storage serve`, and the operator's commands, which are also
// `docker homelab ...` when the binary lies in a Docker CLI plugin folder under the name docker-homelab.
//
// The commands talk to the running plugin through its socket ([protocol.Client]); credentials are the exception: they are
// files of the node and can be set before the plugin runs. A password is read from the terminal without echo, or from
// standard input, and never from an argument, which everybody on the node could read.
//
// Tables are for people; --format json gives the same facts, with all fields, for programs. What a command did is said on
// standard output, what is wrong on standard error, and then the exit code is 1 (2 for a wrong command line).
package cli
