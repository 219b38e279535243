using System.Buffers;
using System.Text;
using System.Text.Json;

namespace Godwit.Qemu.Launch;

/// <summary>Options as one JSON object.</summary>
internal static class QemuJson
{
    /// <summary>The object that <paramref name="write"/> fills.</summary>
    public static string Text(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.WrittenSpan);
    }
}
