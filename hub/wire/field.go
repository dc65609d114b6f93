package wire

// field is a property of a client message that this package interprets.
type field uint8

const (
	noField field = iota // any other property, ignored once it is valid JSON
	fieldType
	fieldGroup
	fieldEvent
	fieldData
	fieldDataType
	fieldNoEcho
	fieldAckID
	fieldTTL
	fieldMetadata
	fieldStream
	fieldSequenceID
	fieldInvocationID
	fieldTarget
	fieldToken
	fieldTokenExpiring
	fieldConflationKey
	numFields
)

// String returns the property name, or "message" for noField.
func (f field) String() string { return fieldNames[f] }

var fieldNames = [numFields]string{
	noField:            "message",
	fieldType:          "type",
	fieldGroup:         "group",
	fieldEvent:         "event",
	fieldData:          "data",
	fieldDataType:      "dataType",
	fieldNoEcho:        "noEcho",
	fieldAckID:         "ackId",
	fieldTTL:           "ttlSeconds",
	fieldMetadata:      "metadata",
	fieldStream:        "stream",
	fieldSequenceID:    "sequenceId",
	fieldInvocationID:  "invocationId",
	fieldTarget:        "target",
	fieldToken:         "token",
	fieldTokenExpiring: "tokenExpiring",
	fieldConflationKey: "conflationKey",
}

// fieldByName finds the property with exactly that name.
func fieldByName(name []byte) field {
	for f := noField + 1; f < numFields; f++ {
		if string(name) == fieldNames[f] {
			return f
		}
	}
	return noField
}
