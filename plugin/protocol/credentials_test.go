package protocol

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"gotest.tools/v3/assert"

	"github.com/homelab-storage/homelab-storage/driver"
	"github.com/homelab-storage/homelab-storage/driver/credential"
	"github.com/homelab-storage/homelab-storage/mounter"
)

func (o *operator) CredentialsSet(_ context.Context, name string, login credential.Credentials) error {
	o.got = append(o.got, name, login.Username, login.Domain, login.Password.Reveal())
	return nil
}

func (o *operator) CredentialsRemove(_ context.Context, name string) error {
	return errors.New("no " + name)
}

func (o *operator) CredentialsUse(_ context.Context, name string) (driver.CredentialsUse, error) {
	return driver.CredentialsUse{Volumes: []string{name}}, nil
}

func (o *operator) CredentialsTest(_ context.Context, name, share string) ([]driver.LoginTest, error) {
	return []driver.LoginTest{{Share: share, Problem: name}}, nil
}

// A password arrives byte for byte, and the request that carries it cannot be shown.
func TestCredentialsThroughTheSocket(t *testing.T) {
	service := &operator{}
	client := NewClient(start(t, service).socket)
	t.Cleanup(client.http.CloseIdleConnections)
	const typed = "can,ary \"%$\\' é\t" + "日本"
	login := credential.Credentials{Username: "bob", Domain: "HOME", Password: mounter.NewSecret(typed)}
	assert.NilError(t, client.CredentialsSet(t.Context(), "nas", login))
	assert.DeepEqual(t, service.got, []any{"nas", "bob", "HOME", typed})
	assert.Error(t, client.CredentialsRemove(t.Context(), "nas"), "no nas")
	use, err := client.CredentialsUse(t.Context(), "films")
	assert.NilError(t, err)
	assert.DeepEqual(t, use.Volumes, []string{"films"})
	tests, err := client.CredentialsTest(t.Context(), "nas", "//nas/media")
	assert.NilError(t, err)
	assert.DeepEqual(t, tests, []driver.LoginTest{{Share: "//nas/media", Problem: "nas"}})

	request := credentialsRequest{Name: "nas", Password: typed}
	assert.Assert(t, !strings.Contains(fmt.Sprintf("%v %+v %#v %s %q %x", request, request, request, request.Password, request.Password, request.Password), "ary"))
	var wrong credentialsRequest
	err = json.Unmarshal([]byte(`{"Name":1,"Password":"canary"}`), &wrong)
	assert.Assert(t, err != nil && !strings.Contains(err.Error(), "canary"))
}
