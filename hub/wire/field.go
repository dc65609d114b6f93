package wire

import "strings"

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
	fieldHistory
	fieldStreamID
	fieldStreamSequenceID
	fieldError
	fieldState
	fieldPresence

	// Properties of the objects in some of the above.
	fieldStreamStartID
	fieldIdleTimeout
	fieldErrorMessage
	fieldUserErrorCode
	fieldHistoryLast
	fieldHistorySince
	fieldHistoryEpoch
	numFields

	firstNested = fieldStreamStartID
)

// String returns the property name, behind that of the object it is in, or
// "message" for noField.
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

	fieldHistory:          "history",
	fieldStreamID:         "streamId",
	fieldStreamSequenceID: "streamSequenceId",
	fieldError:            "error",
	fieldState:            "state",
	fieldPresence:         "presence",

	fieldStreamStartID: "stream.streamId",
	fieldIdleTimeout:   "stream.idleTimeoutMs",
	fieldErrorMessage:  "error.message",
	fieldUserErrorCode: "error.userErrorCode",
	fieldHistoryLast:   "history.last",
	fieldHistorySince:  "history.since",
	fieldHistoryEpoch:  "history.epoch",
}

// fieldByName finds the property of the message with exactly that name.
func fieldByName(name []byte) field {
	for f := noField + 1; f < firstNested; f++ {
		if string(name) == fieldNames[f] {
			return f
		}
	}
	return noField
}

// fieldWithin finds the property of the object in parent with exactly that name.
func fieldWithin(parent field, name []byte) field {
	for f := firstNested; f < numFields; f++ {
		if object, own, _ := strings.Cut(fieldNames[f], "."); object == fieldNames[parent] && own == string(name) {
			return f
		}
	}
	return noField
}
