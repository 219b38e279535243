using System.Text.Json;
using System.Text.Json.Serialization;
using Godwit.Storage.Formats;

namespace Godwit.Storage.Operations;

/// <summary>What a file is being made from and what it is to be: only the same plan may go on with an unfinished one.</summary>
public sealed record CopyPlan
{
    /// <summary>The operation in a word, for messages: "convert", "copy".</summary>
    public required string Operation { get; init; }

    /// <summary>Every file that is read, the parents of a differencing image included.</summary>
    public required IReadOnlyList<FileIdentity> Sources { get; init; }

    /// <summary>The target's format; null when it is a copy of the source's bytes.</summary>
    public ImageFormat? Format { get; init; }

    /// <summary>Bytes of the disk, or of the file when it is a copy of the source's bytes.</summary>
    public required long Size { get; init; }

    /// <summary>The target's unit of allocation in bytes; null for its format's default.</summary>
    public int? BlockSize { get; init; }

    /// <summary>The target's logical sectors in bytes.</summary>
    public int LogicalSectorSize { get; init; }

    /// <summary>The target's physical sectors in bytes.</summary>
    public int PhysicalSectorSize { get; init; }

    /// <summary>The disk's identity, when it is to be kept.</summary>
    public Guid? Identifier { get; init; }

    /// <summary>Why a file begun by another plan may not be gone on with; null when it may.</summary>
    internal string? DifferenceTo(CopyPlan other)
    {
        if (Operation != other.Operation)
            return $"it was begun by {other.Operation}";
        if (!Sources.Select(file => file.Path).SequenceEqual(other.Sources.Select(file => file.Path), StringComparer.Ordinal))
            return $"it was begun from {string.Join(", ", other.Sources.Select(file => file.Path))}";
        if (Sources.Zip(other.Sources).FirstOrDefault(pair => pair.First != pair.Second) is ({ } changed, _))
            return $"{changed.Path} has changed since it was begun";
        return this with { Sources = [] } == other with { Sources = [] } ? null : "it was begun with other options";
    }
}

/// <summary>What lies beside an unfinished file.</summary>
/// <param name="Version">Of this record; 1.</param>
/// <param name="Plan">How the file is made.</param>
/// <param name="CopiedTo">Everything before this offset is in the file and survives a power cut.</param>
internal sealed record CopyJournal(int Version, CopyPlan Plan, long CopiedTo)
{
    /// <summary>The version written here.</summary>
    public const int Current = 1;

    /// <summary>Reads a journal; null when it is none this version can use.</summary>
    public static CopyJournal? TryParse(ReadOnlySpan<byte> json)
    {
        try
        {
            return JsonSerializer.Deserialize(json, CopyJournalJson.Default.CopyJournal) is { Version: Current, Plan.Sources: not null } journal
                && journal.CopiedTo >= 0 && journal.CopiedTo % PaddedDisk.Granule == 0 ? journal : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }

    /// <summary>The journal as it is written.</summary>
    public byte[] ToJson() => JsonSerializer.SerializeToUtf8Bytes(this, CopyJournalJson.Default.CopyJournal);
}

/// <summary>Serialization generated at build time, so that NativeAOT can use it.</summary>
[JsonSourceGenerationOptions(
    JsonSerializerDefaults.Web, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull, UseStringEnumConverter = true)]
[JsonSerializable(typeof(CopyJournal))]
internal sealed partial class CopyJournalJson : JsonSerializerContext;
