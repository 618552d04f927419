package lab

// BoxPid lets the tests see what the lab runs in.
func BoxPid(l *Lab) int { return l.box.Pid() }
