package protocol

import (
	"net/http"

	"github.com/docker/go-plugins-helpers/sdk"
	"github.com/docker/go-plugins-helpers/volume"
)

// capabilities answers at once, whatever state the driver is in: the engine asks before almost every call, and takes no
// answer for scope local. It is not logged, being a constant.
func (s *Server) capabilities(w http.ResponseWriter, _ *http.Request) {
	sdk.EncodeResponse(w, volume.CapabilitiesResponse{Capabilities: volume.Capability{Scope: "global"}}, false)
}
