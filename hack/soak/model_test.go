package main

import (
	"testing"
	"time"

	"tenure.dev/tenure/api/v1alpha1"
)

var noon = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)

func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

func TestStatesOfAUser(t *testing.T) {
	absent := []absence{{name: "leave", start: at(5), end: at(8), state: v1alpha1.StateDeactivated}}
	for name, c := range map[string]struct {
		declared account
		second   float64
		want     v1alpha1.State
	}{
		"never used":                            {account{}, 0, v1alpha1.StateActivated},
		"used":                                  {account{used: true}, 0, v1alpha1.StateActive},
		"expires later":                         {account{expires: at(5)}, 4.9, v1alpha1.StateActivated},
		"expires now":                           {account{expires: at(5)}, 5, v1alpha1.StateExpired},
		"expiry outranks deactivation":          {account{desired: v1alpha1.StateDeactivated, expires: at(5)}, 5, v1alpha1.StateExpired},
		"suspension outranks expiry":            {account{holds: []hold{{"h", v1alpha1.StateSuspended}}, expires: at(5)}, 5, v1alpha1.StateSuspended},
		"removal outranks suspension":           {account{desired: v1alpha1.StateRemoved, holds: []hold{{"h", v1alpha1.StateSuspended}}}, 5, v1alpha1.StateRemoved},
		"the end of the account comes first":    {account{desired: v1alpha1.StateRemoved, ending: true}, 5, deleted},
		"before a leave":                        {account{absences: absent}, 4, v1alpha1.StateActivated},
		"on leave":                              {account{absences: absent}, 5, v1alpha1.StateDeactivated},
		"after a leave":                         {account{absences: absent}, 8, v1alpha1.StateActivated},
		"deactivation outranks a start to come": {account{desired: v1alpha1.StateDeactivated, starts: at(9)}, 5, v1alpha1.StateDeactivated},
		"a start to come outranks a break":      {account{desired: v1alpha1.StateOnBreak, starts: at(9)}, 5, v1alpha1.StatePending},
		"started":                               {account{desired: v1alpha1.StateOnBreak, starts: at(9)}, 9, v1alpha1.StateOnBreak},
	} {
		if got, _ := c.declared.at(at(c.second)); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestStatesOfAMembership(t *testing.T) {
	on := func(state v1alpha1.State) *account { return &account{desired: state} }
	for name, c := range map[string]struct {
		declared part
		user     *account
		want     v1alpha1.State
	}{
		"active":                            {part{}, on(v1alpha1.StateActive), v1alpha1.StateActive},
		"of somebody on a break":            {part{}, on(v1alpha1.StateOnBreak), v1alpha1.StateActive},
		"of somebody deactivated":           {part{}, on(v1alpha1.StateDeactivated), v1alpha1.StatePaused},
		"of somebody suspended":             {part{}, on(v1alpha1.StateSuspended), v1alpha1.StateDeactivated},
		"of somebody removed":               {part{}, on(v1alpha1.StateRemoved), v1alpha1.StateRemoved},
		"of somebody whose account ends":    {part{}, &account{ending: true}, v1alpha1.StateRemoved},
		"of nobody":                         {part{}, nil, v1alpha1.StatePending},
		"expired outranks deactivated":      {part{desired: v1alpha1.StateDeactivated, expires: noon}, on(v1alpha1.StateActive), v1alpha1.StateExpired},
		"deactivated outranks paused":       {part{desired: v1alpha1.StateDeactivated}, on(v1alpha1.StateDeactivated), v1alpha1.StateDeactivated},
		"the hold of a suspension that was": {part{holds: []hold{{userSuspended, v1alpha1.StateDeactivated}}}, on(v1alpha1.StateActive), v1alpha1.StateDeactivated},
	} {
		if got, _ := c.declared.at(noon, c.user); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

func TestNextChange(t *testing.T) {
	a := &account{starts: at(3), expires: at(9), desired: v1alpha1.StateDeactivated}
	instant, state := next(a.instants(), func(t time.Time) v1alpha1.State { s, _ := a.at(t); return s }, noon)
	if !instant.Equal(at(9)) || state != v1alpha1.StateExpired {
		t.Errorf("%s at %s: a start that changes nothing is not next", state, instant)
	}
}
