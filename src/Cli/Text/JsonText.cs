using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Godwit.Api;

namespace Godwit.Cli.Text;

/// <summary>JSON for stdout: the Api's records and names, indented, with paths readable.</summary>
internal static class JsonText
{
    // Relaxed: this goes to a terminal or a file, never into HTML; "ü" and "+" in a path stay as they are.
    private static readonly JavaScriptEncoder Readable = JavaScriptEncoder.UnsafeRelaxedJsonEscaping;

    /// <summary>The Api's records, as written here.</summary>
    public static readonly ApiJson Api = new(
        new JsonSerializerOptions(ApiJson.Default.Options) { WriteIndented = true, Encoder = Readable });

    /// <summary>This program's own records.</summary>
    public static readonly CliJson Own = new(
        new JsonSerializerOptions(CliJson.Default.Options) { WriteIndented = true, Encoder = Readable });

    /// <summary>This program's own records, each in one line.</summary>
    public static readonly CliJson Line = new(new JsonSerializerOptions(CliJson.Default.Options) { Encoder = Readable });

    /// <summary>Writes a value and ends the line.</summary>
    public static void Write<T>(TextWriter writer, T value, JsonTypeInfo<T> type) =>
        writer.WriteLine(JsonSerializer.Serialize(value, type));
}
