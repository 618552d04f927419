// Package lab runs a storage lab of real machines on one ordinary computer: virtual machines with
// Docker, open-iscsi, OCFS2 under o2cb and the kernel's SMB client, and a NAS that exports LUNs and
// shares to them. The host's own kernel needs none of this, only network bridges and taps.
//
//	l, err := lab.Start(ctx, lab.Options{Nodes: 3})
//	defer l.Stop()
//	out, err := l.Node(1).Output(ctx, "uname -r")
//
// # What is in it
//
//	10.77.0.1   nas    tgtd: one target per LUN; smbd: the shares of [NAS.Shares], user media;
//	                   and the registry that [Node.InstallPlugin] installs from, see package registry
//	10.77.0.11  node1  Debian, see package image; 10.77.0.12 node2, ...
//
// All of it lives in one [box.Box]: namespaces of this process that the kernel ends with it. Two
// labs may run at the same time, with the same addresses; no account, interface, mount or file
// appears on the host outside of the lab's folder .cache/lab/runs/ID and the image cache beside it.
// The folder of a lab that died is removed by the next Start, its logs are kept.
//
// A node starts with its agent, udev and iscsid. Docker, sessions, o2cb and mounts come when asked:
// by a test through the helpers ([Node.LoginISCSI], [Node.StartO2CB], [Node.MountPool],
// [Node.StartDocker]), or by the plugin under test. With [Options.Systemd] the nodes boot systemd
// instead and Docker and open-iscsi are units, as a user has them; that costs about 15 s a boot
// under emulation.
//
// # Faults
//
//	Node.Kill, Boot            power loss and a cold boot on the same disk
//	Node.ShutDown, Reboot      orderly under systemd; without it, a sync and a reset
//	Node.Pause, Resume         a virtual machine that stands still
//	Node.KillPlugin            the engine starts it again
//	Node.KillEngine            until StartDocker, or systemd, starts it
//	Node.FillDisk, FreeDisk    no room left where a folder is
//	Node.TurnReadOnly          a file system that the kernel does not write to any more
//	Node.CutNetwork, Restore   the cable
//	Node.CutNAS, RestoreNAS    one node loses the NAS, its peers stay
//	Node.CutSMB, RestoreSMB    one node loses the NAS's shares
//	Node.CutPeer, RestorePeer  two nodes lose each other
//	NAS.ISCSI, NAS.SMB         Stop, Start, Hang, Continue, each by itself
//	NAS.SpeakOnlySMB1, SMB30   an SMB server of another age, until SpeakAll
//	NAS.Move                   the SMB server at another address
//	NAS.Snapshot, Rollback     a disk as it was before
//
// The agent does not use the nodes' network, so a cut-off or fenced-in node can still be asked.
//
// # Tests
//
// Booting is dear (the CI machine emulates), so the tests of one package share a lab:
//
//	var shared = lab.NewShared(lab.Options{})
//
//	func TestMain(m *testing.M) {
//		code := m.Run()
//		shared.Stop()
//		os.Exit(code)
//	}
//
//	func TestDatabase(t *testing.T) {
//		node := shared.Lab(t).Node(1)
//		...
//	}
//
// [Shared.Lab] starts it at first use, heals what an earlier test broke (power, cables, services),
// skips without root or tools, fails instead when CI=true, and keeps all logs in
// integration/lab/logs/TEST when the test fails. Mounts and containers are the tests' own business:
// undo them, or use names of your own.
//
// [ForTest] gives a test a lab for itself.
package lab
