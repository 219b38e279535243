using System.CommandLine;
using Godwit.Api.Disks;
using Godwit.Storage;
using Godwit.Storage.Chains;
using Godwit.Storage.Files;

namespace Godwit.Cli.Disks;

/// <summary>The options of every command that looks for parents.</summary>
internal sealed class ChainArguments
{
    /// <summary>Where Windows' drives and shares are on this computer.</summary>
    public Option<string[]> PathMap { get; } = new("--path-map")
    {
        Description = "Where a drive or share of Windows is here, for parents named by such a path: C:=/srv/c (repeatable)",
        HelpName = "PREFIX=FOLDER",
    };

    /// <summary>Takes a parent that is not the one the child recorded.</summary>
    public Option<bool> IgnoreMismatch { get; } = new("--ignore-parent-mismatch")
    {
        Description = "Take a parent that is another one than the child was made from, or was changed since; "
            + "what is read may be nonsense",
    };

    /// <summary>Gives a command the options.</summary>
    public void AddTo(Command command)
    {
        AddPathMapTo(command);
        command.Add(IgnoreMismatch);
    }

    /// <summary>Gives a command the path map alone: it needs the right parent.</summary>
    public void AddPathMapTo(Command command) => command.Add(PathMap);

    /// <summary>Opens an image with its parents as the options say.</summary>
    /// <param name="session">The command.</param>
    /// <param name="path">The image.</param>
    /// <param name="format">What it is; told by its content and name when null.</param>
    /// <param name="readOnly">For reading only, which others may do at the same time.</param>
    /// <param name="cancellationToken">Gives up.</param>
    public async Task<BlockDevice> OpenAsync(
        Session session, string path, DiskFormat? format, bool readOnly, CancellationToken cancellationToken) =>
        (await OpenChainAsync(session, path, format, readOnly, FileCache.Writeback, cancellationToken)).Device;

    /// <summary>The same, with what there is to say about the files.</summary>
    public async Task<DiskChain> OpenChainAsync(
        Session session, string path, DiskFormat? format, bool readOnly, FileCache cache, CancellationToken cancellationToken)
    {
        var options = Read(session, format, readOnly) with { Cache = cache };
        await ImageNames.RequireContentAsync(path, format, cancellationToken);
        return await DiskChain.OpenAsync(path, options, cancellationToken);
    }

    /// <summary>What was typed.</summary>
    /// <exception cref="UsageException">An entry of the path map is no entry.</exception>
    public ChainOptions Read(Session session, DiskFormat? format = null, bool readOnly = true)
    {
        try
        {
            return new ChainOptions
            {
                Format = ImageFormats.ToImage(format),
                ReadOnly = readOnly,
                Paths = Godwit.Storage.Chains.PathMap.Parse(session.Get(PathMap) ?? []),
                IgnoreParentMismatch = session.Get(IgnoreMismatch),
            };
        }
        catch (StorageException e) when (e.Kind == StorageErrorKind.InvalidRequest)
        {
            throw new UsageException($"--path-map: {e.Reason}");
        }
    }
}
