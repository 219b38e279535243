using System.CommandLine;
using Godwit.Api.Disks;
using Godwit.Cli.Text;
using Godwit.Storage;
using Godwit.Storage.Operations;

namespace Godwit.Cli.Disks;

/// <summary>The options of <c>disk convert</c>, and what they say together.</summary>
internal sealed class ConvertOptions
{
    private readonly Option<ConvertFormat?> _sourceFormat = ConvertFormat.CreateOption(
        "--source-format", "What SOURCE is, told by its content when not given", ConvertFormat.SourceWords);

    private readonly Option<ConvertFormat?> _format = ConvertFormat.CreateOption(
        "--format", "What TARGET is to be: vhdx, vhdx-fixed, vhd, vhd-fixed, raw; qcow2 and vmdk by qemu-img; told by its name when not given, else vhdx",
        ConvertFormat.TargetWords);

    private readonly Option<string?> _subtype = new("--subtype")
    {
        Description = "dynamic (grows as it is written) or fixed (all space from the start)",
        HelpName = "SUBTYPE",
        CustomParser = result =>
        {
            if (result.Tokens[0].Value is "dynamic" or "fixed")
                return result.Tokens[0].Value;
            result.AddError($"--subtype: \"{result.Tokens[0].Value}\" is not a subtype: use dynamic or fixed");
            return null;
        },
    };

    private readonly Option<long?> _blockSize = SizeOption.Create(
        "--block-size", "TARGET's unit of allocation: for a VHDX a power of two from 1M to 256M (32M when not given)");

    private readonly Option<long?> _sectorSize = SizeOption.Create(
        "--sector-size", "TARGET's logical sectors: 512 or 4096 (4096 for a VHDX only); as SOURCE has them when not given");

    private readonly Option<bool> _verify = new("--verify") { Description = "Hash both disks afterwards; TARGET appears only when they are the same" };
    private readonly Option<bool> _restart = new("--restart") { Description = "Begin anew where an unfinished TARGET.partial is" };
    private readonly Option<bool> _dryRun = new("--dry-run") { Description = "Only say what would be done, and whether there is room" };

    /// <summary>Creates the options.</summary>
    public ConvertOptions() => _subtype.CompletionSources.Add("dynamic", "fixed");

    /// <summary>Gives them to the command.</summary>
    public void AddTo(Command command)
    {
        foreach (var option in (Option[])[_sourceFormat, _format, _subtype, _blockSize, _sectorSize, _verify, _restart, _dryRun])
            command.Add(option);
    }

    /// <summary>What the source is said to be.</summary>
    public ConvertFormat? SourceFormat(Session session) => session.Get(_sourceFormat);

    /// <summary>What the target is to be.</summary>
    public ConvertFormat TargetFormat(Session session, string target)
    {
        var format = session.Get(_format) ?? ConvertFormat.ForNew(target);
        return session.Get(_subtype) is string subtype ? format.WithSubtype(subtype) : format;
    }

    /// <summary>Both are hashed afterwards.</summary>
    public bool IsVerify(Session session) => session.Get(_verify);

    /// <summary>An unfinished target is removed.</summary>
    public bool IsRestart(Session session) => session.Get(_restart);

    /// <summary>Nothing is done.</summary>
    public bool IsDryRun(Session session) => session.Get(_dryRun);

    /// <summary>What is to be made from a source.</summary>
    /// <exception cref="UsageException">Options that do not fit the target's format.</exception>
    /// <exception cref="StorageException">The disk cannot have the sectors asked for.</exception>
    public CopyPlan Plan(Session session, ConvertSource source, ConvertFormat format)
    {
        var logical = ReadSectorSize(session, source, format);
        return new CopyPlan
        {
            Operation = format.Own is null ? $"convert to {format.Word}" : "convert",
            Sources = [.. source.Files.Select(FileIdentity.Read)],
            Format = ImageFormats.ToImage(format.Own),
            Size = source.Device.Length,
            BlockSize = ReadBlockSize(session, format),
            LogicalSectorSize = logical,
            PhysicalSectorSize = Math.Max(logical, source.PhysicalSectorSize),
            // The same disk in another file: a guest that remembers disks by identity finds it again.
            Identifier = source.Identifier,
        };
    }

    private static bool IsVhdx(ConvertFormat format) => format.Own is DiskFormat.VhdxDynamic or DiskFormat.VhdxFixed;

    private int? ReadBlockSize(Session session, ConvertFormat format)
    {
        if (session.Get(_blockSize) is not long size)
            return null;
        if (!IsVhdx(format) && format.Own != DiskFormat.VhdDynamic)
            throw new UsageException($"--block-size: {format.Word} has no blocks to choose the size of");
        var (least, most) = IsVhdx(format) ? (1L << 20, 256L << 20) : (4096L, 256L << 20);
        return size >= least && size <= most && long.IsPow2(size)
            ? (int)size
            : throw new UsageException(
                $"--block-size: {ByteSize.Format(size)} is not a power of two from {ByteSize.Format(least)} to {ByteSize.Format(most)}");
    }

    private int ReadSectorSize(Session session, ConvertSource source, ConvertFormat format)
    {
        var wanted = session.Get(_sectorSize);
        if (wanted is not (null or 512 or 4096))
            throw new UsageException("--sector-size: a disk has sectors of 512 or 4096 bytes");
        if (wanted == 4096 && !IsVhdx(format))
            throw new UsageException($"--sector-size: {format.Word} has sectors of 512 bytes; only a VHDX can have 4096");
        var size = (int)(wanted ?? (IsVhdx(format) ? source.LogicalSectorSize : 512));
        if (source.Device.Length % size != 0)
        {
            throw new StorageException(
                StorageErrorKind.InvalidRequest,
                $"the disk's {source.Device.Length} bytes are not whole sectors of {size}; grow it first, or keep sectors of 512",
                source.Path,
                operation: "convert");
        }

        return size;
    }
}
