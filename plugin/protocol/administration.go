package protocol

import (
	"context"
	"time"

	"github.com/homelab-storage/homelab-storage/driver"
)

// adminPrefix begins the operator's calls.
const adminPrefix = "Homelab."

// Requests and answers of the operator's calls.
type (
	poolRequest    struct{ Pool string }
	volumeRequest  struct{ Volume string }
	restoreRequest struct{ ID, Name string }
	emptyRequest   struct {
		Pool, ID  string
		OlderThan time.Duration
	}
	breakRequest struct {
		Volume, Node string
		Force        bool
	}
	drainRequest struct {
		Pool    string
		Options driver.DrainOptions
	}
	progressRequest struct {
		Pool string
		Seen int
	}
	// reply is the result, the error, or both.
	reply[R any] struct {
		Result R
		Err    string `json:",omitempty"`
	}
)

// administer adds an operator's call.
func administer[Q, R any](s *Server, name string, work func(ctx context.Context, service Service, request Q) (R, error)) {
	route(s, call[Q]{
		name: adminPrefix + name, bare: true, both: true,
		work: func(ctx context.Context, service Service, request Q, _ driver.Engine) (any, error) {
			result, err := work(ctx, service, request)
			answer := reply[R]{Result: result}
			if err != nil {
				answer.Err = err.Error()
			}
			return answer, err
		},
	})
}

func (s *Server) administrationRoutes() {
	s.credentialsRoutes()
	administer(s, "Status", func(ctx context.Context, service Service, _ none) (driver.Health, error) {
		return service.Health(ctx), nil
	})
	administer(s, "TrashList", func(ctx context.Context, service Service, q poolRequest) ([]driver.TrashEntry, error) {
		return service.TrashList(ctx, q.Pool)
	})
	administer(s, "TrashRestore", func(ctx context.Context, service Service, q restoreRequest) (none, error) {
		return none{}, service.TrashRestore(ctx, q.ID, q.Name)
	})
	administer(s, "TrashEmpty", func(ctx context.Context, service Service, q emptyRequest) (int, error) {
		return service.TrashEmpty(ctx, q.Pool, q.ID, q.OlderThan)
	})
	administer(s, "Holders", func(ctx context.Context, service Service, q poolRequest) ([]driver.HolderRecord, error) {
		return service.Holders(ctx, q.Pool)
	})
	administer(s, "HolderOf", func(ctx context.Context, service Service, q volumeRequest) (driver.HolderRecord, error) {
		return service.HolderOf(ctx, q.Volume)
	})
	administer(s, "HolderBreak", func(ctx context.Context, service Service, q breakRequest) (driver.HolderBroken, error) {
		return service.HolderBreak(ctx, q.Volume, q.Node, q.Force)
	})
	administer(s, "CatalogAdopt", func(ctx context.Context, service Service, _ none) (driver.Repair, error) {
		return service.CatalogAdopt(ctx)
	})
	administer(s, "CatalogRestore", func(ctx context.Context, service Service, _ none) (driver.Repair, error) {
		return service.CatalogRestore(ctx)
	})
	administer(s, "Drain", func(ctx context.Context, service Service, q drainRequest) (driver.DrainReport, error) {
		return service.Drain(ctx, q.Pool, q.Options)
	})
	administer(s, "Undrain", func(ctx context.Context, service Service, q poolRequest) (driver.DrainReport, error) {
		return service.Undrain(ctx, q.Pool)
	})
	administer(s, "DrainProgress", func(ctx context.Context, service Service, q progressRequest) (driver.DrainReport, error) {
		return service.DrainProgress(ctx, q.Pool, q.Seen)
	})
	administer(s, "Leave", func(ctx context.Context, service Service, _ none) ([]string, error) {
		return service.Leave(ctx)
	})
}
