using System.Buffers;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;

namespace Godwit.Qemu.Qmp;

/// <summary>What one line from QEMU is.</summary>
internal enum QmpMessageKind
{
    Greeting,
    Return,
    Error,
    Event,
}

/// <summary>One line from QEMU, taken apart and checked.</summary>
/// <param name="Kind">What it is.</param>
/// <param name="Id">For an answer: the command it belongs to; null when QEMU could not tell.</param>
/// <param name="Body">The value of "QMP", "return", "error" or "data"; undefined for an event without data.</param>
/// <param name="EventName">For an event: its name.</param>
/// <param name="Time">For an event: QEMU's clock.</param>
internal sealed record QmpMessage(QmpMessageKind Kind, long? Id, JsonElement Body, string EventName, DateTimeOffset Time)
{
    /// <summary>Takes a line apart.</summary>
    /// <exception cref="QmpConnectionException">It is no QMP message.</exception>
    public static QmpMessage Parse(ReadOnlySequence<byte> line)
    {
        JsonElement root;
        try
        {
            using var document = JsonDocument.Parse(line);
            root = document.RootElement.Clone();
        }
        catch (JsonException e)
        {
            throw new QmpConnectionException($"QMP: a line is no JSON ({e.Message}): {Excerpt(line)}", e);
        }

        if (root.ValueKind == JsonValueKind.Object)
        {
            if (root.TryGetProperty("event", out var name) && name.ValueKind == JsonValueKind.String)
                return new QmpMessage(QmpMessageKind.Event, null, Member(root, "data"), name.GetString()!, TimeOf(root));
            if (root.TryGetProperty("return", out var result))
                return new QmpMessage(QmpMessageKind.Return, IdOf(root), result, "", default);
            if (root.TryGetProperty("error", out var error) && error.ValueKind == JsonValueKind.Object)
                return new QmpMessage(QmpMessageKind.Error, IdOf(root), error, "", default);
            if (root.TryGetProperty("QMP", out var greeting) && greeting.ValueKind == JsonValueKind.Object)
                return new QmpMessage(QmpMessageKind.Greeting, null, greeting, "", default);
        }

        throw new QmpConnectionException($"QMP: a line is no greeting, answer or event: {Excerpt(line)}");
    }

    /// <summary>Builds a command's line.</summary>
    public static byte[] Command<TArguments>(string verb, string command, long id, TArguments? arguments, JsonTypeInfo<TArguments>? type)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteString(verb, command);
            if (arguments is not null && type is not null)
            {
                json.WritePropertyName("arguments");
                JsonSerializer.Serialize(json, arguments, type);
            }

            json.WriteNumber("id", id);
            json.WriteEndObject();
        }

        buffer.Write("\n"u8);
        return buffer.WrittenSpan.ToArray();
    }

    /// <summary>A string member, or <paramref name="otherwise"/> when it is missing or no string.</summary>
    public string Text(string member, string otherwise) =>
        Member(Body, member) is { ValueKind: JsonValueKind.String } value ? value.GetString()! : otherwise;

    private static JsonElement Member(JsonElement root, string name) =>
        root.ValueKind == JsonValueKind.Object && root.TryGetProperty(name, out var value) ? value : default;

    private static long? IdOf(JsonElement root) =>
        Member(root, "id") is { ValueKind: JsonValueKind.Number } id && id.TryGetInt64(out var value) ? value : null;

    private static DateTimeOffset TimeOf(JsonElement root)
    {
        var stamp = Member(root, "timestamp");
        return Member(stamp, "seconds") is { ValueKind: JsonValueKind.Number } seconds && seconds.TryGetInt64(out var whole)
            && Member(stamp, "microseconds") is { ValueKind: JsonValueKind.Number } part && part.TryGetInt64(out var micro)
            && whole is >= 0 and < 1L << 36 && micro is >= 0 and < 1_000_000
            ? DateTimeOffset.FromUnixTimeSeconds(whole).AddMicroseconds(micro)
            : DateTimeOffset.UnixEpoch;
    }

    private static string Excerpt(ReadOnlySequence<byte> line)
    {
        var start = line.Slice(0, Math.Min(line.Length, 80)).ToArray();
        return string.Concat(start.Select(b => b is >= 0x20 and < 0x7f ? (char)b : '.'));
    }
}
