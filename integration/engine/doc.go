// Package engine runs a real Docker Engine for tests and for the demo on a throwaway host, and leaves nothing behind.
//
// A [Host] is a process with mount, network, PID, UTS and IPC namespaces of its own. Its root is an overlay of the
// machine's root that is held in memory: what an engine, a plugin or a test writes to /etc, /run or /var/lib stays inside and
// ends with it. Two folders are on the real disk, because what is tested there must be real: the engine's data root and
// /var/lib/homelab-storage. The network namespace has a loopback device and what the engine adds, no more, so that
// nothing can leave it.
//
// For a managed plugin "the host" is the mount namespace of its parent, the container shim, which the engine started: the
// throwaway host. That is why tests can let the plugin make pools, records and mounts as it would anywhere.
//
// # Ending
//
// The host's first process reads a pipe whose other end is in the program that started it. When that program ends, also by
// SIGKILL, the pipe closes, the first process ends, and the kernel ends every process and mount with it. What the kernel
// leaves are a folder and empty control groups: [Start] removes those of every earlier host whose owner no longer holds
// the lock in its folder.
//
// # Use
//
//	e, err := engine.Start(ctx, engine.Options{LiveRestore: true})
//	defer e.Close()
//	err = e.CreatePlugin(ctx, "homelab-storage", "bin/plugin-amd64", "STANDALONE=true")
//	text, err := e.Docker(ctx, "volume", "create", "-d", "homelab-storage", "-o", "class=db", "v1")
//
// It needs root, a dockerd (Debian's docker.io 20.10 and later) and a docker client. Do not use it to test what a
// kernel module or a second machine decides: that is what package lab is for.
package engine
