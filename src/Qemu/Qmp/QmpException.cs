namespace Godwit.Qemu.Qmp;

/// <summary>QEMU refused a command. The connection goes on.</summary>
/// <param name="command">The command refused.</param>
/// <param name="errorClass">QEMU's class, for example "GenericError" or "CommandNotFound".</param>
/// <param name="description">QEMU's words.</param>
/// <remarks>Source: QMP specification, section "error".</remarks>
public sealed class QmpException(string command, string errorClass, string description)
    : Exception($"QEMU refused {command}: {description} ({errorClass})")
{
    /// <summary>The command refused.</summary>
    public string Command { get; } = command;

    /// <summary>QEMU's class of the error.</summary>
    public string ErrorClass { get; } = errorClass;

    /// <summary>QEMU's words.</summary>
    public string Description { get; } = description;
}

/// <summary>The QMP connection has ended, or the other side does not speak QMP. Every command waiting for an answer fails with it.</summary>
/// <param name="message">What was wrong.</param>
/// <param name="inner">The cause, if another exception led here.</param>
public sealed class QmpConnectionException(string message, Exception? inner = null) : IOException(message, inner);
