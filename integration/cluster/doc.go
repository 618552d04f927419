// Package cluster tests the product on the storage that it is for: the managed plugin, installed as a user would, on virtual
// machines with a real iSCSI LUN, OCFS2 under o2cb and a real Samba server (package lab). Build tag lab; root:
//
//	go test -tags lab ./integration/cluster
//
// # How it is laid out
//
// Booting is dear, so there are a few machines, each with its tests one after the other:
//
//   - TestNode, the quick init: a Radarr stack across restarts, every refusal with its golden text, and shares:
//     what is said of a NAS in each of its states, in which time, and that a database beside it does not notice; names with blanks
//     and letters beyond ASCII; a server of SMB 3.0; the kernel's counters at a second start; and a search for passwords.
//   - TestNodes, three machines of one cluster, which run beside nothing else: one catalog, one writer at a time, and
//     a Swarm service whose node loses its power. Writers acknowledge every row to a [ledger], outside of the machines.
//   - TestSystemdNode, a machine as a user has it: references and holds while systemd services and a container with
//     `-v /:/host` have copies of the mounts, options that try to get out of a volume's directory, docs/switching.md, command by command,
//     and docs/operations.md under a writer.
//
// One test alone: -run TestNode/pool. A test begins with [site.healed], so that it does not depend on its predecessors.
//
// What takes longer has the tags lab,long (make test-cluster):
//
//   - TestLong, three machines: what two writers lose, every kind of hand-over, a drain beside a writer, a hold that is broken, and
//     a catalog pool that was rolled back, formatted anew, or is not the one of the other nodes.
//   - TestDefaultHeartbeat is the failover of TestNodes with the heartbeat as o2cb has it.
//   - TestSystemdNodes, three machines as users have them: how long a planned reboot keeps the others waiting, and a power cut after
//     which the NAS comes up minutes later than the machines.
//   - TestKills, three machines, kills nodes, engines, plugins and containers under a service: 200 in about two hours.
//   - TestRestarts is TestNode's stack with everything that can be restarted under it; then containers that try to get out of their
//     volume's directory.
//   - TestShares has 500 volumes, a share that becomes stale under a container, 20 containers that work with files while the NAS is
//     away for seconds and for minutes, packets that are dropped, and a NAS that moves.
//
// # Refusals
//
// A refusal is proven by more than its text: the answer comes in time, nothing was written to the root disk (a listing of what
// lies below the pool's mount and of the engine's folders, and the disk's fill, before and after), and the volume works again
// by itself when the cause is gone. The texts are in integration/testdata/golden; -update writes them.
package cluster
