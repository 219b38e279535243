using Godwit.Storage.Decorators;
using Godwit.Storage.Files;
using Godwit.Storage.Formats.Vhd;
using Godwit.Testing.Disks;

namespace Godwit.Storage.Tests.Formats.Vhd;

/// <summary>Blocks of 512 KiB and room for one at a time: as much growth as there can be.</summary>
public class VhdDynamicCrashes : CrashConformance
{
    protected virtual VhdCreateOptions Options(long size) => new() { Size = size, BlockSize = 512 << 10 };

    protected virtual BlockDevice? OpenParent() => null;

    protected override ValueTask FormatAsync(IStorageFile file, long size) =>
        VhdDisk.CreateAsync(file, Options(size), CancellationToken.None);

    protected override async ValueTask<BlockDevice> OpenAsync(IStorageFile file) => await VhdSample.OpenAsync(file, parent: OpenParent());
}

public sealed class VhdDynamicTwoMebibyteBlocksCrashes : VhdDynamicCrashes
{
    protected override VhdCreateOptions Options(long size) => new() { Size = size };
}

public sealed class VhdFixedCrashes : VhdDynamicCrashes
{
    protected override VhdCreateOptions Options(long size) => new() { Size = size, Fixed = true };
}

/// <summary>Every sector that was never written must show the parent's bytes, whatever is cut off.</summary>
public sealed class VhdDifferencingCrashes : VhdDynamicCrashes
{
    private BlockDevice? _parent;

    protected override int BaseRequest => CrashHistory.BaseId;

    protected override VhdCreateOptions Options(long size) => new() { Size = size, BlockSize = 512 << 10, Parent = VhdSample.Parent };

    protected override BlockDevice OpenParent() =>
        new BorrowedDisk(_parent ??= VhdSample.ParentOf(CrashHistory.Content(CrashHistory.BaseId, 0, (int)Size)));
}
