package protocol

import (
	"context"
	"fmt"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
)

// password is one on its way through the socket, which only root may open. It is a string to JSON, and to nobody else.
type password string

// Format writes *** for every verb and flag.
func (password) Format(state fmt.State, _ rune) { _, _ = state.Write([]byte("***")) }

type (
	credentialsRequest struct {
		Name, Username, Domain string
		Password               password
	}
	nameRequest struct{ Name string }
	testRequest struct{ Name, Share string }
)

func (s *Server) credentialsRoutes() {
	administer(s, "CredentialsSet", func(ctx context.Context, service Service, q credentialsRequest) (none, error) {
		login := credential.Credentials{Username: q.Username, Domain: q.Domain, Password: mounter.NewSecret(string(q.Password))}
		return none{}, service.CredentialsSet(ctx, q.Name, login)
	})
	administer(s, "CredentialsRemove", func(ctx context.Context, service Service, q nameRequest) (none, error) {
		return none{}, service.CredentialsRemove(ctx, q.Name)
	})
	administer(s, "CredentialsUse", func(ctx context.Context, service Service, q nameRequest) (driver.CredentialsUse, error) {
		return service.CredentialsUse(ctx, q.Name)
	})
	administer(s, "CredentialsTest", func(ctx context.Context, service Service, q testRequest) ([]driver.LoginTest, error) {
		return service.CredentialsTest(ctx, q.Name, q.Share)
	})
}

// CredentialsSet stores credentials for all nodes.
func (c *Client) CredentialsSet(ctx context.Context, name string, login credential.Credentials) error {
	_, err := ask[none](ctx, c, "CredentialsSet", credentialsRequest{name, login.Username, login.Domain, password(login.Password.Reveal())})
	return err
}

// CredentialsRemove takes credentials away from all nodes.
func (c *Client) CredentialsRemove(ctx context.Context, name string) error {
	_, err := ask[none](ctx, c, "CredentialsRemove", nameRequest{name})
	return err
}

// CredentialsUse tells what depends on credentials.
func (c *Client) CredentialsUse(ctx context.Context, name string) (driver.CredentialsUse, error) {
	return ask[driver.CredentialsUse](ctx, c, "CredentialsUse", nameRequest{name})
}

// CredentialsTest logs in to a share, or to all that credentials are used for when it is "".
func (c *Client) CredentialsTest(ctx context.Context, name, share string) ([]driver.LoginTest, error) {
	return ask[[]driver.LoginTest](ctx, c, "CredentialsTest", testRequest{name, share})
}
