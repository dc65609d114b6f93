// Package floors holds the tests of what the project promises about itself as a
// whole. The first is the direction of imports: the packages of Sluice stand on
// floors, and arrows go down only. A package imports packages of lower floors,
// never of its own or a higher one, so every package can be read, tested and
// replaced without what stands above it. The second is that the pages of the
// documentation link to what exists, the third that no Go file puts work off.
//
// It has no code but its tests. A new package is entered in house_test.go.
package floors
