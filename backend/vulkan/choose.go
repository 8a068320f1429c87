package vulkan

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// rank orders kinds: the larger the better.
func (k Kind) rank() int {
	return slices.Index([]Kind{KindOther, KindCPU, KindVirtual, KindIntegrated, KindDiscrete}, k)
}

// Best is the device with the most to offer among those that can be used: by kind, then
// by memory. Without software it leaves out those that compute on the processor.
func Best(list []Info, software bool) (Info, error) {
	var best *Info
	var why []error
	for i, d := range list {
		switch err := d.Usable(); {
		case err != nil:
			why = append(why, err)
		case !software && (d.Kind == KindCPU || d.Kind == KindOther):
			why = append(why, fmt.Errorf("%s is not a GPU", d.Name))
		case best == nil || d.Kind.rank() > best.Kind.rank() || d.Kind == best.Kind && d.Memory > best.Memory:
			best = &list[i]
		}
	}
	if best != nil {
		return *best, nil
	}
	if len(list) == 0 {
		return Info{}, errors.New("there is no Vulkan device")
	}
	return Info{}, errors.Join(why...)
}

// choose finds the device that Options.Device names.
func choose(list []Info, name string) (Info, error) {
	if name == "" {
		return Best(list, true)
	}
	found := list
	if index, err := strconv.Atoi(name); err == nil {
		found = nil
		if index >= 0 && index < len(list) {
			found = list[index : index+1]
		}
	} else {
		matches := func(d Info) bool {
			return string(d.Kind) == name || strings.Contains(strings.ToLower(d.Name), strings.ToLower(name))
		}
		found = slices.DeleteFunc(slices.Clone(list), func(d Info) bool { return !matches(d) })
	}
	if len(found) == 0 {
		names := make([]string, len(list))
		for i, d := range list {
			names[i] = fmt.Sprintf("%d: %s (%s)", d.Index, d.Name, d.Kind)
		}
		return Info{}, fmt.Errorf("no device %q: there is %s", name,
			strings.Join(append(names[:len(names):len(names)], "nothing else"), ", "))
	}
	return Best(found, true)
}
