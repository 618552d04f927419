// Command print writes the stand-in image to standard output, for
//
//	go run ./integration/standin/print | docker import - stand-in
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/homelab-storage/homelab-storage/integration/standin"
)

func main() {
	if err := standin.Write(context.Background(), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
