package nn

import (
	"iter"
	"reflect"
	"strconv"

	"github.com/agora-ml/agora/tensor"
)

// Params gives the parameters of a model by name, in the order of its fields.
//
// It follows the fields that have a tag `name:"…"`: parameters, structs, slices and
// whatever stands in an interface. Names are joined by dots, elements of slices
// numbered; an empty name adds nothing, so that a wrapper keeps the names of what it
// wraps. Nil is skipped. A tag on a field of any other type panics.
func Params(m any) iter.Seq2[string, *Param] {
	return func(yield func(string, *Param) bool) {
		walk(m, walker{param: yield})
	}
}

// Layers gives the slots of a model by name: every field, or element of a slice, of
// the type Layer. A caller may put another Layer into the slot; the walk goes on in
// the one that was there. A field tagged `name:""` is no slot but a part of the layer
// it stands in, such as the layer an adapter wraps.
func Layers(m any) iter.Seq2[string, *Layer] {
	return func(yield func(string, *Layer) bool) {
		walk(m, walker{slot: yield})
	}
}

// walker holds what to call; it returns false to end the walk.
type walker struct {
	param func(string, *Param) bool
	slot  func(string, *Layer) bool
}

var (
	paramType = reflect.TypeFor[*Param]()
	layerType = reflect.TypeFor[Layer]()
)

func walk(m any, w walker) {
	if m == nil {
		tensor.Panicf("params", "the model is nil")
	}
	w.value(reflect.ValueOf(m), "")
}

func (w walker) value(v reflect.Value, name string) bool {
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			return true
		}
		if v.Type() == paramType {
			return w.param == nil || w.param(name, v.Interface().(*Param))
		}
		return w.value(v.Elem(), name)
	case reflect.Interface:
		return v.IsNil() || w.value(v.Elem(), name)
	case reflect.Struct:
		return w.fields(v, name)
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			if !w.part(v.Index(i), name, strconv.Itoa(i)) {
				return false
			}
		}
		return true
	case reflect.Func: // a layer without parameters
		return true
	}
	tensor.Panicf("params", "%q is a %s: want a *Param, or a struct, slice or interface that holds some", name,
		v.Type())
	return false
}

func (w walker) fields(v reflect.Value, name string) bool {
	t := v.Type()
	for i := range t.NumField() {
		tag, ok := t.Field(i).Tag.Lookup("name")
		if !ok {
			continue
		}
		if !t.Field(i).IsExported() {
			tensor.Panicf("params", "field %s of %s has a name but is not exported", t.Field(i).Name, t)
		}
		if !w.part(v.Field(i), name, tag) {
			return false
		}
	}
	return true
}

// part visits a field or element; the layer in a slot is read before the slot is
// shown, so that a walk that wraps layers does not wrap its own wrappers.
func (w walker) part(v reflect.Value, name, part string) bool {
	if part != "" && name != "" {
		name += "."
	}
	name += part
	inside := v
	if v.Type() == layerType && !v.IsNil() {
		inside = v.Elem()
		if w.slot != nil && part != "" {
			if !v.CanAddr() {
				tensor.Panicf("params",
					"the layer %q cannot be replaced: pass a pointer to the model, and hold structs by pointer", name)
			}
			if !w.slot(name, v.Addr().Interface().(*Layer)) {
				return false
			}
		}
	}
	return w.value(inside, name)
}
