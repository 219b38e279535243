using System.Runtime.CompilerServices;
using Godwit.Storage.Files;

namespace Godwit.Storage.Formats.Vhdx;

/// <summary>
/// Where the parsers report what they see. An open is strict: the first error is thrown. A check collects.
/// </summary>
internal sealed class VhdxFindings
{
    private const int Limit = 1000;
    private readonly IStorageFile _file;
    private readonly List<CheckFinding>? _collected;

    private VhdxFindings(IStorageFile file, List<CheckFinding>? collected)
    {
        _file = file;
        _collected = collected;
    }

    public int Errors { get; private set; }

    public int Warnings { get; private set; }

    public IReadOnlyList<CheckFinding> All => _collected ?? [];

    /// <summary>Everything is to be examined, however long it takes.</summary>
    public bool Collects => _collected is not null;

    /// <summary>The text of another finding would be read.</summary>
    public bool WantsText => _collected is null || _collected.Count < Limit;

    /// <summary>Throws at the first error and forgets the rest.</summary>
    public static VhdxFindings Strict(IStorageFile file) => new(file, null);

    /// <summary>Keeps everything, up to a limit.</summary>
    public static VhdxFindings Collecting(IStorageFile file) => new(file, []);

    public void Error(long? offset, string message) => Add(CheckSeverity.Error, offset, message);

    public void Error(long? offset, [InterpolatedStringHandlerArgument("")] ref FindingText message) => Add(CheckSeverity.Error, offset, message.Take());

    public void Warning(long? offset, string message) => Add(CheckSeverity.Warning, offset, message);

    public void Warning(long? offset, [InterpolatedStringHandlerArgument("")] ref FindingText message) => Add(CheckSeverity.Warning, offset, message.Take());

    public void Information(long? offset, string message) => Add(CheckSeverity.Information, offset, message);

    public void Information(long? offset, [InterpolatedStringHandlerArgument("")] ref FindingText message) => Add(CheckSeverity.Information, offset, message.Take());

    public void Report(CheckSeverity severity, long? offset, [InterpolatedStringHandlerArgument("")] ref FindingText message) => Add(severity, offset, message.Take());

    private void Add(CheckSeverity severity, long? offset, string message)
    {
        Errors += severity == CheckSeverity.Error ? 1 : 0;
        Warnings += severity == CheckSeverity.Warning ? 1 : 0;
        if (_collected is null && severity == CheckSeverity.Error)
            throw new StorageException(StorageErrorKind.Corrupt, message, _file.Path, offset, "open");
        Keep(severity, offset, message);
    }

    private void Keep(CheckSeverity severity, long? offset, string message)
    {
        if (_collected is null || _collected.Count > Limit)
            return;
        _collected.Add(_collected.Count == Limit
            ? new CheckFinding(CheckSeverity.Information, null, $"only the first {Limit} findings are listed")
            : new CheckFinding(severity, offset, message));
    }
}
