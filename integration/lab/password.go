package lab

import "context"

// SetPassword changes the password of the SMB account. Sessions that are open stay.
func (n *NAS) SetPassword(ctx context.Context, password string) error {
	if n.password == password {
		return nil
	}
	n.password = password
	return n.setPassword(ctx, n.SMB.lab)
}
