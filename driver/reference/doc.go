// Package reference counts who uses a volume on this node (DESIGN D11).
package reference
