package lab

import (
	"context"
	"fmt"
)

// nasAddress is the bridge's own address: the NAS runs where the bridge is.
const nasAddress = "10.77.0.1"

// startNetwork makes a bridge and one tap per node. A tap stays when its machine ends, so that a
// cut cable stays cut across a boot.
func (l *Lab) startNetwork(ctx context.Context) error {
	script := fmt.Sprintf(`set -e
ip link add bridge0 type bridge stp_state 0 forward_delay 0
ip address add %s/24 dev bridge0
ip link set bridge0 up
for number in $(seq %d); do
	ip tuntap add dev tap$number mode tap
	ip link set tap$number master bridge0 up
done`, nasAddress, l.options.Nodes)
	_, err := l.box.Output(ctx, script)
	return err
}

// restoreNetwork plugs every cable in and removes every cut.
func (l *Lab) restoreNetwork(ctx context.Context) error {
	_, err := l.box.Output(ctx, fmt.Sprintf(`set -e
for chain in INPUT OUTPUT FORWARD; do ebtables -F $chain; done
for number in $(seq %d); do ip link set tap$number up; done`, l.options.Nodes))
	return err
}

// CutNetwork pulls the node's cable: it reaches neither the NAS nor its peers.
func (n *Node) CutNetwork(ctx context.Context) error {
	return n.network(ctx, "ip link set %s down", n.tap())
}

// RestoreNetwork plugs the node's cable in again.
func (n *Node) RestoreNetwork(ctx context.Context) error {
	return n.network(ctx, "ip link set %s up", n.tap())
}

// CutNAS silently drops everything between the node and the NAS, in both directions; its peers stay
// reachable.
func (n *Node) CutNAS(ctx context.Context) error {
	return n.network(ctx, "ebtables -I INPUT -i %[1]s -j DROP && ebtables -I OUTPUT -o %[1]s -j DROP", n.tap())
}

// RestoreNAS undoes [Node.CutNAS].
func (n *Node) RestoreNAS(ctx context.Context) error {
	return n.network(ctx, "ebtables -D INPUT -i %[1]s -j DROP && ebtables -D OUTPUT -o %[1]s -j DROP", n.tap())
}

// CutPeer silently drops everything between two nodes, in both directions; both keep the NAS.
func (n *Node) CutPeer(ctx context.Context, other *Node) error {
	return n.network(ctx, "ebtables -I FORWARD -i %[1]s -o %[2]s -j DROP && ebtables -I FORWARD -i %[2]s -o %[1]s -j DROP",
		n.tap(), other.tap())
}

// RestorePeer undoes [Node.CutPeer].
func (n *Node) RestorePeer(ctx context.Context, other *Node) error {
	return n.network(ctx, "ebtables -D FORWARD -i %[1]s -o %[2]s -j DROP && ebtables -D FORWARD -i %[2]s -o %[1]s -j DROP",
		n.tap(), other.tap())
}

func (n *Node) tap() string { return fmt.Sprintf("tap%d", n.number) }

func (n *Node) network(ctx context.Context, format string, taps ...any) error {
	if _, err := n.lab.box.Output(ctx, fmt.Sprintf(format, taps...)); err != nil {
		return fmt.Errorf("%s: %w", n.Name(), err)
	}
	return nil
}
