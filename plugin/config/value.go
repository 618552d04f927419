package config

import (
	"io/fs"
	"net"
	"net/netip"
	"path"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/homelab-storage/homelab-storage/driver/mountoption"
)

// The rules of the parsers below.
var (
	nameRule   = regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$`)
	hostRule   = regexp.MustCompile(`^[a-zA-Z0-9_]([a-zA-Z0-9._-]*[a-zA-Z0-9_])?$`)
	deviceRule = regexp.MustCompile(`^(UUID=[0-9A-Fa-f-]{8,36}|LABEL=[^\s,/]{1,64}|/dev/disk/by-[a-z]+/[^\s/]+)$`)
	targetRule = regexp.MustCompile(`^(iqn\.|eui\.|naa\.)[^\s,]{1,219}$`)
	shareRule  = regexp.MustCompile(`^[^/\\\s,:][^/\\,:]*(/[^/\\,]+)*$`)
)

func parseName(text string) (string, error) {
	if !nameRule.MatchString(text) {
		return "", bad("must be a name: a letter or digit, then up to 62 letters, digits, \"_\", \".\" or \"-\"")
	}
	return text, nil
}

// parsePath accepts an absolute, clean path of the host.
func parsePath(text string) (string, error) {
	switch {
	case !path.IsAbs(text):
		return "", bad("must be an absolute path of the host, for example /mnt/iscsi/media-apps")
	case text != path.Clean(text):
		return "", bad("must be written without \"..\", doubled or trailing slashes: %s", path.Clean(text))
	case text == "/":
		return "", bad("must be the pool's own folder, not the root of the host")
	}
	return text, nil
}

func parseDevice(text string) (string, error) {
	if deviceRule.MatchString(text) {
		return text, nil
	}
	if strings.HasPrefix(text, "/dev/") {
		return "", bad("is not the same disk on every node and after every boot: use UUID=..., LABEL=... or /dev/disk/by-id/... (blkid shows them)")
	}
	return "", bad("must be UUID=..., LABEL=... or /dev/disk/by-.../... (blkid shows them)")
}

func parsePortal(text string) (string, error) {
	host := text
	if strings.HasPrefix(text, "[") || strings.Count(text, ":") == 1 {
		name, port, err := net.SplitHostPort(text)
		if err != nil {
			return "", bad("must be host or host:port, for example nas:3260 or [fd00::2]:3260")
		}
		if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
			return "", bad("must have a port from 1 to 65535, for example nas:3260")
		}
		host = name
	}
	if _, err := parseHost(host); err != nil {
		return "", bad("must be host or host:port, for example nas:3260 or [fd00::2]:3260")
	}
	return text, nil
}

func parseHost(text string) (string, error) {
	if bare, ok := strings.CutPrefix(text, "["); ok && strings.HasSuffix(bare, "]") {
		if address, err := netip.ParseAddr(strings.TrimSuffix(bare, "]")); err == nil && address.Is6() {
			return text, nil
		}
	}
	if _, err := netip.ParseAddr(text); err != nil && !hostRule.MatchString(text) {
		return "", bad("must be a host name or an address, without slashes, for example nas.local")
	}
	return text, nil
}

func parseTarget(text string) (string, error) {
	if !targetRule.MatchString(text) {
		return "", bad("must be a target's name, for example iqn.2024-01.local.nas:media (iscsiadm -m discovery shows them)")
	}
	return text, nil
}

// parseShare accepts //server/share[/directory], and share[/directory] for SMB_SERVER to complete.
func parseShare(text string) (string, error) {
	if mountoption.HasLogin(text) {
		return "", bad("holds a user and a password, which everybody could read here: write //server/share, store them with " +
			"`docker homelab credentials set NAME --username USER`, then write credentials: NAME")
	}
	rest, full := strings.CutPrefix(text, "//")
	server, share, _ := strings.Cut(rest, "/")
	if !full {
		server, share = "", rest
	}
	_, err := parseHost(server)
	if (full && err != nil) || !shareRule.MatchString(share) || share != path.Clean(share) || strings.HasPrefix(share, "..") {
		return "", bad("must be //server/share or //server/share/directory, for example //nas/torrents")
	}
	return text, nil
}

// parseMountOption accepts one option; text holds no secret.
func parseMountOption(text string) (string, error) {
	parts := mountoption.Split(text)
	if len(parts) != 1 || strings.ContainsAny(text, "\n\t") {
		return "", bad("must be one option; write several as a list: [vers=3.1.1, hard]")
	}
	return text, nil
}

// parseShareOption accepts one option of mount.cifs that names no secret.
func parseShareOption(text string) (string, error) {
	if _, err := parseMountOption(text); err != nil {
		return "", err
	}
	part := mountoption.Split(text)[0]
	switch part.Name {
	case "user", "username", "domain", "dom", "workgroup", "cred", "credentials":
		return "", bad("belongs into a credentials file: `docker homelab credentials set NAME --username USER`, then credentials: NAME")
	}
	if !mountoption.Known(part.Name) {
		return "", bad("is not an option of mount.cifs(8) or of the kernel's SMB client")
	}
	return text, nil
}

func parseID(text string) (uint32, error) {
	id, err := strconv.ParseUint(text, 10, 32)
	if err != nil || id == 1<<32-1 {
		return 0, bad("must be a number from 0 to 4294967294")
	}
	return uint32(id), nil
}

func parseMode(text string) (fs.FileMode, error) {
	mode, err := strconv.ParseUint(strings.TrimPrefix(text, "0o"), 8, 32)
	if err != nil || mode > 0o7777 {
		return 0, bad("must be octal permissions, for example 0770")
	}
	return fs.FileMode(mode), nil
}

func parseBool(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "true", "yes", "on", "1":
		return true, nil
	case "false", "no", "off", "0":
		return false, nil
	}
	return false, bad("must be true or false")
}

// duration makes a parser of durations up to a limit.
func duration(limit time.Duration, limitText string) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		value, err := ParseDuration(text)
		if err != nil || value < 0 {
			return 0, bad("must be a time with its unit, for example 90s, 10m, 12h or 30d")
		}
		if value > limit {
			return 0, bad("is too long: %s", limitText)
		}
		return value, nil
	}
}

// ParseDuration is time.ParseDuration with days.
func ParseDuration(text string) (time.Duration, error) {
	days, ok := strings.CutSuffix(text, "d")
	if !ok {
		return time.ParseDuration(text)
	}
	number, err := strconv.ParseUint(days, 10, 16)
	return time.Duration(number) * 24 * time.Hour, err
}
