// Package engine asks the Docker engine what only it knows: whether this node is in a Swarm, which containers could not
// start, and which plugin is ours. It reaches the engine by its socket on the host, through the official client.
//
// Nothing a volume needs depends on it: an engine that does not answer costs its caller the deadline of the context and
// gives an error.
package engine
