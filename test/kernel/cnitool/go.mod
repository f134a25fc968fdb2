// CNI's own command line, with which the tests drive fast-cni as a runtime does.
module fast/cnitool

go 1.25.0

tool github.com/containernetworking/cni/cnitool

require github.com/containernetworking/cni v1.3.0 // indirect
