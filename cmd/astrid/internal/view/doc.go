// Package view is what a person sees: lists, summaries, colours and the pager.
// It knows replies of the kernel and writers, and asks nobody anything.
//
// Names of files are written through ctl/text.Quote, so that no name can move
// the cursor or pass for another line. Colour is used only where Style says so.
package view
