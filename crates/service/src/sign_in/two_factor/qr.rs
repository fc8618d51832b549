//! The picture that an app scans: a QR code as a PNG in a data URI, made here and nowhere else.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hoody_core::wire::Secret;
use qrcode::{Color, EcLevel, QrCode};
use zeroize::Zeroizing;

use hoody_engine::error::Error;

/// Pixels of one module.
const SCALE: usize = 6;
/// Modules of white around it (ISO/IEC 18004).
const QUIET: usize = 4;

/// `text` as `data:image/png;base64,…`.
pub(super) fn data_uri(text: &str) -> Result<Secret, Error> {
    let png = png(text).map_err(Error::internal)?;
    let mut uri = String::from("data:image/png;base64,");
    STANDARD.encode_string(&*png, &mut uri);
    Ok(uri.into())
}

/// The modules of the code of `text`, line by line; true is dark.
///
/// # Errors
/// When the text is too long for a code.
pub fn modules(text: &str) -> Result<Vec<Vec<bool>>, Error> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M).map_err(Error::internal)?;
    let width = code.width();
    Ok((0..width).map(|y| (0..width).map(|x| code[(x, y)] == Color::Dark).collect()).collect())
}

/// One bit a pixel, black on white.
fn png(text: &str) -> anyhow::Result<Zeroizing<Vec<u8>>> {
    let code = QrCode::with_error_correction_level(text, EcLevel::M)?;
    let modules = code.width();
    let width = (modules + 2 * QUIET) * SCALE;
    let stride = width.div_ceil(8);
    let mut pixels = Zeroizing::new(vec![0xff; stride * width]);
    for (y, row) in pixels.chunks_exact_mut(stride).enumerate() {
        for x in 0..width {
            let (column, line) = ((x / SCALE).wrapping_sub(QUIET), (y / SCALE).wrapping_sub(QUIET));
            if column < modules && line < modules && code[(column, line)] == Color::Dark {
                row[x / 8] &= !(0x80 >> (x % 8));
            }
        }
    }
    let side = u32::try_from(width)?;
    let mut file = Zeroizing::new(Vec::with_capacity(4_096));
    let mut encoder = png::Encoder::new(&mut *file, side, side);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.set_depth(png::BitDepth::One);
    let mut writer = encoder.write_header()?;
    writer.write_image_data(&pixels)?;
    writer.finish()?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every module of the picture, read back from the PNG, is the code's.
    #[test]
    fn the_picture_is_the_code() {
        let text = "otpauth://totp/hoody:ada?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=hoody";
        let uri = data_uri(text).unwrap();
        let file = STANDARD.decode(uri.expose().strip_prefix("data:image/png;base64,").unwrap()).unwrap();
        let mut reader = png::Decoder::new(std::io::Cursor::new(file)).read_info().unwrap();
        let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut pixels).unwrap();
        let code = QrCode::with_error_correction_level(text, EcLevel::M).unwrap();
        let modules = code.width();
        assert_eq!(info.width as usize, (modules + 2 * QUIET) * SCALE);
        let is_dark = |x: usize, y: usize| pixels[y * info.line_size + x / 8] & (0x80 >> (x % 8)) == 0;
        for line in 0..modules {
            for column in 0..modules {
                let (x, y) = ((column + QUIET) * SCALE + SCALE / 2, (line + QUIET) * SCALE + SCALE / 2);
                assert_eq!(is_dark(x, y), code[(column, line)] == Color::Dark, "{column},{line}");
            }
        }
        assert!(!is_dark(0, 0) && !is_dark(SCALE * QUIET - 1, SCALE * QUIET));
    }
}
