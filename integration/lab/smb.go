package lab

import (
	"context"
	"fmt"
)

// secondAddress is where the NAS is after [NAS.Move].
const secondAddress = "10.77.0.2"

// anyProtocol is what smbd speaks unless a test says otherwise.
var anyProtocol = [2]string{"SMB2_02", "SMB3_11"} //nolint:gochecknoglobals // a constant that Go cannot write as one

// SpeakOnlySMB1 restarts the SMB server as one of the last century; [NAS.SpeakAll] undoes it.
func (n *NAS) SpeakOnlySMB1(ctx context.Context) error { return n.speak(ctx, [2]string{"NT1", "NT1"}) }

// SpeakOnlySMB30 restarts it as one of 2012, which knows SMB 3.0 and neither 3.0.2 nor 3.1.1; [NAS.SpeakAll] undoes it.
func (n *NAS) SpeakOnlySMB30(ctx context.Context) error {
	return n.speak(ctx, [2]string{"SMB3_00", "SMB3_00"})
}

// SpeakAll undoes [NAS.SpeakOnlySMB1] and [NAS.SpeakOnlySMB30].
func (n *NAS) SpeakAll(ctx context.Context) error { return n.speak(ctx, anyProtocol) }

func (n *NAS) speak(ctx context.Context, protocols [2]string) error {
	if n.protocols == protocols {
		return nil
	}
	n.protocols = protocols
	return n.restart(ctx)
}

// LetGuestsIn restarts the SMB server as one that wants no user, or as it was.
func (n *NAS) LetGuestsIn(ctx context.Context, in bool) error {
	n.guests = in
	return n.restart(ctx)
}

// restart has the SMB server begin anew, as it is configured now.
func (n *NAS) restart(ctx context.Context) error {
	if err := n.configure(n.SMB.lab); err != nil {
		return err
	}
	if err := n.SMB.Stop(ctx); err != nil {
		return err
	}
	return n.SMB.Start(ctx)
}

// Move gives the NAS's SMB server another address, which it returns, and takes the first one away: the node's packets to it are
// dropped until [Lab.Heal]. What the name nas means to the node is left to the test.
func (n *NAS) Move(ctx context.Context, node *Node) (string, error) {
	if err := node.CutSMB(ctx); err != nil {
		return "", err
	}
	_, err := n.SMB.lab.box.Output(ctx, "ip address replace "+secondAddress+"/24 dev bridge0")
	return secondAddress, err
}

// CutSMB silently drops what the node sends to the NAS's SMB port, and nothing else; [Node.RestoreSMB] and [Lab.Heal] undo it.
func (n *Node) CutSMB(ctx context.Context) error {
	return n.network(ctx, "ebtables -I "+smbRule, n.tap())
}

// RestoreSMB undoes [Node.CutSMB].
func (n *Node) RestoreSMB(ctx context.Context) error {
	return n.network(ctx, "ebtables -D "+smbRule, n.tap())
}

const smbRule = "INPUT -i %s -p IPv4 --ip-destination " + nasAddress + " --ip-protocol tcp --ip-destination-port 445 -j DROP"

// Knows has the node know a host by an address, as the file /etc/hosts says it.
func (n *Node) Knows(ctx context.Context, host, address string) error {
	_, err := n.Output(ctx, fmt.Sprintf(`sed --in-place '/[[:space:]]%[1]s$/d' /etc/hosts && echo '%[2]s %[1]s' >>/etc/hosts`, host, address))
	return err
}
