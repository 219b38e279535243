namespace Godwit.Qemu.Qmp;

/// <summary>One entry of query-block, as far as it is used: a drive.</summary>
/// <param name="Qdev">Its device; null for a drive without one.</param>
/// <param name="Inserted">What is in it; null when it is empty.</param>
public sealed record QmpDrive(string? Qdev = null, QmpInserted? Inserted = null);

/// <summary>What is in a drive.</summary>
/// <param name="NodeName">The block node.</param>
/// <param name="File">Where its data is.</param>
public sealed record QmpInserted(string NodeName, string File);

/// <summary>Names a drive by its device.</summary>
/// <param name="Id">The device.</param>
public sealed record QmpDriveId(string Id);

/// <summary>Arguments of blockdev-open-tray.</summary>
/// <param name="Id">The device.</param>
/// <param name="Force">Also when the guest has locked the tray.</param>
public sealed record QmpOpenTray(string Id, bool Force);

/// <summary>Arguments of blockdev-insert-medium.</summary>
/// <param name="Id">The device.</param>
/// <param name="NodeName">The block node.</param>
public sealed record QmpInsertMedium(string Id, string NodeName);

/// <summary>Arguments of blockdev-add for a file that QEMU itself opens.</summary>
/// <param name="Driver">"file".</param>
/// <param name="NodeName">Name of the new node.</param>
/// <param name="Filename">The file.</param>
/// <param name="ReadOnly">Open it for reading only.</param>
public sealed record QmpFileNode(string Driver, string NodeName, string Filename, bool ReadOnly);

/// <summary>Names a block node.</summary>
/// <param name="NodeName">The node.</param>
public sealed record QmpNodeName(string NodeName);
