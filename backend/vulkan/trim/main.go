// Trim writes the part of the Vulkan header that the C files use: with the header of Debian's
// libvulkan-dev 1.4.309 (tools/vktools.sh DIR libvulkan-dev),
//
//	cd backend/vulkan && go run ./trim PATH/TO/vulkan_core.h
//
// Declarations stay as they are. Of enumerations only the values used are kept, of
// structs that are only pointed to the names.
package main

import (
	"bytes"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

const preamble = `/*
** Copyright 2015-2025 The Khronos Group Inc.
**
** SPDX-License-Identifier: Apache-2.0
*/

/*
** Made by trim from vulkan_core.h 1.4.%s: the declarations that are used here, unchanged;
** of the enumerations only the values used, of structs only pointed to the names.
** For 64-bit machines, where every handle is a pointer.
*/

#ifndef AGORA_VULKAN_TRIMMED_H
#define AGORA_VULKAN_TRIMMED_H

#include <stddef.h>
#include <stdint.h>

#ifdef _WIN32
#define VKAPI_PTR __stdcall
#else
#define VKAPI_PTR
#endif
#define VKAPI_CALL VKAPI_PTR
#define VK_DEFINE_HANDLE(object) typedef struct object##_T* object;

`

// declaration is one name of the header with its text and its place in it.
type declaration struct {
	kind, name, text string
	at               int
}

var (
	identifier = regexp.MustCompile(`\b(?:PFN_vk|Vk|VK_)\w+`)
	call       = regexp.MustCompile(`\bvk[A-Z]\w+`)
	byPointer  = regexp.MustCompile(`\b(?:struct )?(Vk\w+)\s*\*`)
	member     = regexp.MustCompile(`(?m)^    (VK_\w+) = .*\n`)
	forms      = map[string]*regexp.Regexp{
		"handle":   regexp.MustCompile(`(?m)^VK_DEFINE_(?:NON_DISPATCHABLE_)?HANDLE\((\w+)\)$`),
		"constant": regexp.MustCompile(`(?m)^#define (VK_\w+) +[("\d].*$`),
		"name":     regexp.MustCompile(`(?m)^typedef [\w ]+ (Vk\w+);$`),
		"function": regexp.MustCompile(`(?ms)^typedef [\w* ]+\(VKAPI_PTR \*(PFN_\w+)\)\(.*?\);$`),
		"enum":     regexp.MustCompile(`(?ms)^typedef enum (\w+) \{.*?^\} \w+;$`),
		"struct":   regexp.MustCompile(`(?ms)^typedef (?:struct|union) (\w+) \{.*?^\} \w+;$`),
	}
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "trim:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("want one argument: vulkan_core.h")
	}
	header, err := os.ReadFile(args[0])
	if err != nil {
		return err
	}
	var users []byte
	for _, file := range []string{"vk.c", "vk_bound.c", "vk_bound.h"} {
		user, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		users = append(users, user...)
	}
	out, err := trim(string(header), string(users))
	if err != nil {
		return err
	}
	return os.WriteFile("vulkan_trimmed.h", out, 0o644)
}

func trim(header, user string) ([]byte, error) {
	version := regexp.MustCompile(`#define VK_HEADER_VERSION (\d+)`).FindStringSubmatch(header)
	if version == nil {
		return nil, fmt.Errorf("no VK_HEADER_VERSION: not vulkan_core.h")
	}
	all := map[string]declaration{}
	owner := map[string]string{} // the enumeration of a value
	for kind, form := range forms {
		for _, m := range form.FindAllStringSubmatchIndex(header, -1) {
			d := declaration{kind, header[m[2]:m[3]], header[m[0]:m[1]], m[0]}
			all[d.name] = d
			if kind == "enum" {
				for _, v := range member.FindAllStringSubmatch(d.text, -1) {
					owner[v[1]] = d.name
				}
			}
		}
	}
	used := map[string]bool{}
	for _, name := range identifier.FindAllString(call.ReplaceAllString(user, "PFN_$0"), -1) {
		used[name] = true
	}
	keep, pointed := map[string]bool{}, map[string]bool{}
	queue := []string{"VkBool32"}
	for name := range used {
		queue = append(queue, name)
	}
	for len(queue) > 0 {
		name := queue[0]
		queue = queue[1:]
		if e, ok := owner[name]; ok {
			name = e
		}
		d, ok := all[name]
		if !ok || keep[name] {
			continue
		}
		keep[name] = true
		if d.kind == "enum" {
			continue
		}
		body := d.text
		for _, p := range byPointer.FindAllStringSubmatch(body, -1) {
			if all[p[1]].kind == "struct" {
				pointed[p[1]] = true
			} else {
				queue = append(queue, p[1])
			}
		}
		queue = append(queue, identifier.FindAllString(byPointer.ReplaceAllString(body, ""), -1)...)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, preamble, version[1])
	for name := range pointed {
		if !keep[name] {
			keep[name] = true
			all[name] = declaration{"forward", name, "typedef struct " + name + " " + name + ";", all[name].at}
		}
	}
	for _, kinds := range [][]string{{"handle"}, {"constant"}, {"forward"}, {"name", "enum", "struct", "function"}} {
		var list []declaration
		for name := range keep {
			if slices.Contains(kinds, all[name].kind) {
				list = append(list, all[name])
			}
		}
		slices.SortFunc(list, func(a, b declaration) int { return a.at - b.at })
		for _, d := range list {
			text := d.text
			switch d.kind {
			case "handle":
				text = "VK_DEFINE_HANDLE(" + d.name + ")"
			case "enum":
				text = member.ReplaceAllStringFunc(text, func(line string) string {
					if name := member.FindStringSubmatch(line)[1]; used[name] || strings.Contains(name, "MAX_ENUM") {
						return line
					}
					return ""
				})
			}
			b.WriteString(text + "\n")
		}
		b.WriteString("\n")
	}
	b.WriteString("#endif\n")
	return b.Bytes(), nil
}
